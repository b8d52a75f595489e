r"""Serves an exported SavedModel or a preset over HTTP; needs `pip install starlette uvicorn`.

    python -m tools.serve --saved_model=exports/texture_shapes_srm/saved_model --port=8501
    python -m tools.serve --saved_model=presets/texture_shapes_srm

Takes the requests of TensorFlow Serving's REST interface at /v1/models/NAME:predict, and answers
GET /v1/models/NAME with 200 as soon as it is ready. Ctrl+C stops it. docs/serving.md shows the
requests. A preset (folder, .zip file or hf://…) is exported to a SavedModel in a temporary folder
first, and compared with its network on noise.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tools.command_line import check_flags, start, stop

SAVED_MODEL = flags.DEFINE_string("saved_model", None, "Folder of the SavedModel, or a preset.")
NAME = flags.DEFINE_string("name", "model", "Name of the model in the address.")
HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen on; 0.0.0.0 for all.")
PORT = flags.DEFINE_integer("port", 8501, "Port to listen on.", lower_bound=1, upper_bound=65535)


def main(argv: Sequence[str]) -> None:
    """Serve what the flags name."""
    try:
        check_flags(argv, SAVED_MODEL)
        from srm_keras.export.serving.server import check_address, serve
        from srm_keras.interop.presets import is_preset_name

        check_address(HOST.value, PORT.value)
        with tempfile.TemporaryDirectory() as folder:
            path = SAVED_MODEL.value
            if is_preset_name(path):
                path = _exported(path, Path(folder) / "saved_model")
            serve(path, NAME.value, HOST.value, PORT.value)
    except ModuleNotFoundError as error:
        stop(f"{error.name} is missing: pip install starlette uvicorn")


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


if __name__ == "__main__":
    start(main)
