"""Images without labels, as style transfer trains on: all files of a folder."""

import os
from dataclasses import replace

from srm_keras.data import checks
from srm_keras.data.checks import seed_in_range
from srm_keras.data.examples import Examples
from srm_keras.data.sources.image_folder.layout import list_unlabelled, part_of
from srm_keras.data.sources.image_folder.source import as_examples
from srm_keras.support.validation import boolean, fraction, one_of

SPLITS = ("train", "test", "all")
DEFAULT_TEST_FRACTION = 0.1


def load_examples(
    split: str,
    *,
    data_dir: str | os.PathLike,
    test_fraction: float = DEFAULT_TEST_FRACTION,
    on_error: str = "raise",
    seed: int = 0,
    verify: bool = True,
) -> Examples:
    """Lists the image files of a folder and of all folders below it: see ``image_folder``.

    Which files are the test split follows, file by file, from the seed and their paths below
    ``data_dir``: a new file moves no other.

    Args:
        split: ``"train"``, ``"test"``, or ``"all"`` for both.
        data_dir: The folder.
        test_fraction: Expected part of the images that is the test split, between 0 and 1.
        on_error: What a file that cannot be decoded leads to: ``"raise"``, an error that names all
            of them, or ``"skip"``, a warning that names them, and a data set without them.
        seed: Integer in [0, 2**63): of the order, and of that fraction.
        verify: Whether all files are decoded once first; see ``image_folder``.

    Returns:
        The ``Examples``, whose images are paths, all of the one class ``"image"``.

    Raises:
        ValueError: If an argument is wrong; ``data_dir`` does not exist or holds no image, or none
            that falls into the split; or files are corrupt and ``on_error="raise"``.
    """
    one_of("split", split, SPLITS)
    one_of("on_error", on_error, ("raise", "skip"))
    seed = seed_in_range(seed)
    boolean("verify", verify)
    test_fraction = fraction("test_fraction", test_fraction)
    if test_fraction in (0, 1):
        raise ValueError(
            f"`test_fraction` must lie between 0 and 1. Received: test_fraction={test_fraction}"
        )
    images = list_unlabelled(data_dir, seed)
    root = checks.path("data_dir", data_dir)
    if split != "all":
        paths = tuple(part_of(images.paths, root, split, test_fraction, seed))
        if not paths:
            raise ValueError(
                f"`data_dir` must hold more images: none of {len(images.paths)} falls into the "
                f"split {split!r} with test_fraction={test_fraction} and seed={seed}. "
                f"Received: data_dir={str(data_dir)!r}"
            )
        images = replace(images, paths=paths, labels=(0,) * len(paths))
    return as_examples("image_files", split, images, root, verify=verify, on_error=on_error)
