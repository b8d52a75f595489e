r"""Serves a trained network over HTTP; needs ``pip install starlette uvicorn``.

    srm-keras serve --model=exports/texture_shapes_srm/saved_model --port=8501
    srm-keras serve --model=presets/texture_shapes_srm

Takes the requests of TensorFlow Serving's REST interface at /v1/models/NAME:predict, and answers
GET /v1/models/NAME with 200 as soon as it is ready. Ctrl+C stops it. docs/serving.md shows the
requests. What is no SavedModel is exported to one in a temporary folder first, and compared with
its network on noise.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

TAKES = ("saved_model", *shared.CLASSIFIERS)


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.model(flags, TAKES)
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
    shared.check(flags, arguments, "model")
    from srm_keras.cli.networks import kind_of

    kind = kind_of(flags.model, TAKES)
    try:
        from srm_keras.export.serving.server import check_address, serve
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is missing: pip install starlette uvicorn") from error
    check_address(flags.host, flags.port)
    with tempfile.TemporaryDirectory() as folder:
        path = flags.model
        if kind != "saved_model":
            path = _exported(path, Path(folder) / "model")
        serve(path, flags.name, flags.host, flags.port)


def _exported(source: str, path: Path) -> Path:
    """The SavedModel that another kind of network becomes."""
    import numpy as np

    from srm_keras.cli.networks import load_trained
    from srm_keras.export import to_saved_model

    run = load_trained(source)
    preprocessing, size = run.preprocessing, run.preprocessing.image_size
    noise = np.random.default_rng(0).integers(0, 256, (8, size, size, preprocessing.channels))
    samples = preprocessing.evaluation(noise.astype("uint8")).numpy()
    to_saved_model(run.model, path, samples, preprocessing=preprocessing, classes=run.classes)
    return path
