r"""Serves an exported SavedModel over HTTP; needs `pip install "srm-keras[serving]"`.

    python -m tools.serve --saved_model=exports/texture_shapes_srm/saved_model --port=8501

Takes the requests of TensorFlow Serving's REST interface at /v1/models/NAME:predict, and answers
GET /v1/models/NAME with 200 as soon as it is ready. Ctrl+C stops it. docs/serving.md shows the
requests.
"""

from collections.abc import Sequence

from absl import flags

from tools.command_line import check_flags, start, stop

SAVED_MODEL = flags.DEFINE_string("saved_model", None, "Folder of the SavedModel.")
NAME = flags.DEFINE_string("name", "model", "Name of the model in the address.")
HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen on; 0.0.0.0 for all.")
PORT = flags.DEFINE_integer("port", 8501, "Port to listen on.", lower_bound=1, upper_bound=65535)


def main(argv: Sequence[str]) -> None:
    """Serve the SavedModel that the flags name."""
    try:
        check_flags(argv, SAVED_MODEL)
        from srm_keras.export.serving.server import serve

        serve(SAVED_MODEL.value, NAME.value, HOST.value, PORT.value)
    except ModuleNotFoundError as error:
        stop(f'{error.name} is missing: pip install "srm-keras[serving]"')


if __name__ == "__main__":
    start(main)
