"""What random erasing and repeated augmentation must make of batches, whoever makes them."""

import numpy as np


def assert_erased(erased: np.ndarray, plain: np.ndarray, chance: float) -> None:
    """Of images (N, S, S, C) that many have one box of N(0, 1), and are else as they were."""
    size, boxes, noise = plain.shape[1], [], []
    for one, other in zip(erased, plain, strict=True):
        rows, columns = np.nonzero((one != other).any(axis=-1))
        if len(rows) == 0:
            continue
        box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (one[box] != other[box]).all()
        boxes.append(one[box].shape[:2])
        noise.append(one[box].ravel())
    count, sides = len(plain), np.array(boxes)
    assert abs(len(boxes) / count - chance) < 4 * np.sqrt(chance * (1 - chance) / count)
    assert sides.max() < size
    # Sides are rounded: by half a pixel each.
    areas = ((sides - 0.5).prod(axis=1) / size**2, (sides + 0.5).prod(axis=1) / size**2)
    assert (areas[0] < 1 / 3).all()
    assert (areas[1] > 0.02).all()
    assert ((sides[:, 0] - 0.5) / (sides[:, 1] + 0.5) < 1 / 0.3).all()
    assert ((sides[:, 0] + 0.5) / (sides[:, 1] - 0.5) > 0.3).all()
    assert len(np.unique(sides, axis=0)) > 5
    values = np.concatenate(noise)
    assert abs(values.mean()) < 5 / np.sqrt(len(values))
    assert abs(values.std() - 1) < 5 / np.sqrt(2 * len(values))


def assert_repeats(labels: np.ndarray, batch_size: int, repeats: int, examples: int) -> None:
    """Labels (steps, batch_size), the numbers of examples: each of a batch's that often in it.

    Steps must be whole epochs. Neighbours, which MixUp blends, are two examples, and of one epoch
    no two batches share any.
    """
    distinct = batch_size // repeats
    for batch in labels:
        found, counts = np.unique(batch, return_counts=True)
        assert len(found) == distinct
        assert (counts == repeats).all()
        parts = batch.reshape(repeats, distinct)
        assert all(len(set(part)) == distinct for part in parts)  # what a shard gets
        if distinct > 1:
            assert (batch[::2] != batch[1::2]).all()
    epochs = labels.reshape(-1, examples // distinct, batch_size)
    assert len(epochs) > 1
    for epoch in epochs:
        assert len(np.unique(epoch)) == distinct * len(epoch)
    assert not np.array_equal(epochs[0], epochs[1])
