r"""Serves an exported SavedModel or a preset over HTTP; needs `pip install starlette uvicorn`.

    srm-keras serve --model=exports/texture_shapes_srm/saved_model --port=8501
    srm-keras serve --model=presets/texture_shapes_srm

Takes the requests of TensorFlow Serving's REST interface at /v1/models/NAME:predict, and answers
GET /v1/models/NAME with 200 as soon as it is ready. Ctrl+C stops it. docs/serving.md shows the
requests. A preset (folder, .zip file or hf://…) is exported to a SavedModel in a temporary folder
first, and compared with its network on noise.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_string(
        "model", None, "Folder of the SavedModel, or a preset.", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "name", "model", "Name of the model in the address.", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "host", "127.0.0.1", "Address to listen on; 0.0.0.0 for all.", flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "port", 8501, "Port to listen on.", lower_bound=1, upper_bound=65535, flag_values=flags
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Serve what the flags name."""
    try:
        shared.check(flags, arguments, "model")
        from srm_keras.export.serving.server import check_address, serve
        from srm_keras.interop.presets import is_preset_name

        check_address(flags.host, flags.port)
        with tempfile.TemporaryDirectory() as folder:
            path = flags.model
            if is_preset_name(path):
                path = _exported(path, Path(folder) / "model")
            serve(path, flags.name, flags.host, flags.port)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is missing: pip install starlette uvicorn") from error


def _exported(source: str, path: Path) -> Path:
    """The SavedModel that a preset becomes."""
    import numpy as np
    from absl import logging

    from srm_keras.export import to_saved_model
    from srm_keras.interop.presets import load_preset

    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    preset = load_preset(source)
    preprocessing, size = preset.preprocessing, preset.preprocessing.image_size
    noise = np.random.default_rng(0).integers(0, 256, (8, size, size, preprocessing.channels))
    samples = preprocessing.evaluation(noise.astype("uint8")).numpy()
    to_saved_model(preset.model, path, samples, preprocessing=preprocessing, classes=preset.classes)
    return path
