"""Per-stage and per-block recalibration specs."""

from collections.abc import Sequence

from srm_keras.layers.registry import Spec, recalibration

NestedSpec = Spec | Sequence["Spec | Sequence[Spec]"]


def spec_of_each_block(spec: NestedSpec, blocks: Sequence[int]) -> list[list[Spec]]:
    """Spread ``spec`` over a network of ``blocks[s]`` residual blocks in stage ``s``.

    Args:
        spec: one spec for all blocks, or a list with an entry a stage, each of which is one spec
            for the stage or a list with a spec a block: ``[None, "se", "srm", ["srm", None]]``.
        blocks: number of blocks of each stage.

    Returns:
        A list a stage of a spec a block.

    Raises:
        ValueError: a list has the wrong length, or a spec is wrong.
    """
    stages = _entries(spec, len(blocks), "one entry a stage")
    specs = [
        _entries(stage, count, f"one entry a block of stage {index}")
        for index, (stage, count) in enumerate(zip(stages, blocks, strict=True), start=1)
    ]
    for one in {id(one): one for stage in specs for one in stage}.values():
        if not callable(one):  # what a callable makes may be counted by who passes it
            recalibration(one)
    return specs


def _entries(spec, count: int, meaning: str) -> list:
    if not isinstance(spec, list | tuple):
        return [spec] * count
    if len(spec) != count:
        raise ValueError(
            f"`recalibration` must have {meaning}, {count} of them, where it is a list. "
            f"Received {len(spec)}: {spec!r}"
        )
    return list(spec)
