"""Data sets that TensorFlow Datasets (TFDS) has written to a folder."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from srm_keras.data import checks

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

BY_POSITION = "array_record"
"""The file format of TFDS whose records can be read by position."""


def root_folder(data_dir: str | os.PathLike | None) -> Path:
    """`data_dir`, or else the folder where TFDS puts its data sets."""
    default = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    return checks.path("data_dir", default if data_dir is None else data_dir)


def prepared_builder(name: str, root: Path) -> "tfds.core.DatasetBuilder | None":
    """The builder of the newest version of a data set in `root`, or None if there is none.

    Args:
        name: The data set's name in TFDS.
        root: The folder of TFDS data sets; `root/name/1.2.3/dataset_info.json` is looked for.
    """
    found = [
        path.parent
        for path in (root / name).glob("*/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", path.parent.name)
    ]
    if not found:
        return None
    import tensorflow_datasets as tfds

    newest = max(found, key=lambda folder: [int(part) for part in folder.name.split(".")])
    return tfds.builder_from_directory(os.fspath(newest))


def check_read_by_position(builder: "tfds.core.DatasetBuilder", name: str, root: Path) -> None:
    """Raises `ValueError` unless a data set in `root` has TFDS's format that reads by position."""
    file_format = builder.info.file_format.value
    if file_format != BY_POSITION:
        raise ValueError(
            f"{name} in {root} must have the format {BY_POSITION}, which can be read by position. "
            f"Received: {file_format}. Convert it with `tfds convert_format "
            f"--root_data_dir={root}/{name} --out_file_format={BY_POSITION} --out_path=NEW_FOLDER`"
        )


def prepare_command(name: str, root: Path, file_format: str = "") -> str:
    """The command line that downloads and prepares a data set of TFDS in `root`."""
    option = f", file_format='{file_format}'" if file_format else ""
    code = (
        f"import tensorflow_datasets as tfds; "
        f"tfds.builder('{name}', data_dir='{root}'{option}).download_and_prepare()"
    )
    return f'python -c "{code}"'
