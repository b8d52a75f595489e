r"""Puts a trained network on the web page in docs/web_demo.

    python -m tools.web_demo --run=runs/texture_shapes_srm
    python -m http.server --directory docs/web_demo

Reads a run folder of train.classify, writes RUN/export/web/ (what srm_keras.export.to_web writes,
compared with the Keras model on evaluation images) and copies it to docs/web_demo/model/. With
--compare=FOLDER the images there are answered by the page in headless Chromium as well, and
compared with TensorFlow and Keras: RUN/export/web_comparison.json and .csv.
"""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags, logging

RUN = flags.DEFINE_string("run", None, "Run folder of train.classify.")
OUT = flags.DEFINE_string("out", None, "Folder to copy to. By default docs/web_demo/model.")
CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which weights to export.")
SAMPLES = flags.DEFINE_integer(
    "samples", 64, "Number of evaluation images on which outputs are compared.", lower_bound=1
)
COMPARE = flags.DEFINE_string("compare", None, "Folder of JPEG or PNG files, any depth.")

IMAGES = (".jpg", ".jpeg", ".png")


def main(argv: Sequence[str]) -> None:
    """Export the run that the flags name and copy it to the page."""
    from srm_keras.export import ExportError
    from srm_keras.export.web.browser import BrowserError

    try:
        _export(argv)
    except (ValueError, ExportError, BrowserError) as error:
        sys.exit(f"error: {error}")


def _export(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise ValueError(f"Arguments must be flags. Received: {' '.join(argv[1:])}")
    if not RUN.value:
        raise ValueError("`--run` is required.")
    from srm_keras.export.web.browser import WEB_DEMO
    from srm_keras.export.web.exporter import to_web, web_folder
    from srm_keras.files import write_atomically
    from srm_keras.training import load_run
    from tools.run_samples import evaluation_samples

    page = web_folder(OUT.value or WEB_DEMO / "model")
    run = load_run(RUN.value, CHECKPOINT.value)
    compare = _comparison(run)
    samples = evaluation_samples(run, SAMPLES.value)
    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    folder = Path(RUN.value) / "export" / "web"
    print(to_web(run.model, folder, samples.inputs, run.preprocessing, run.classes), flush=True)
    write_atomically(page, lambda path: shutil.copytree(folder, path))
    print(f"Wrote {page}. See the page: python -m http.server --directory docs/web_demo")
    compare(folder)


def _comparison(run) -> Callable[[Path], None]:
    """What --compare asks for, checked before anything is exported."""
    from srm_keras.export.web.comparison import check_comparable, compare_with_page

    if not COMPARE.value:
        return lambda folder: None
    files = [file for file in Path(COMPARE.value).rglob("*") if file.suffix.lower() in IMAGES]
    files = sorted(file for file in files if file.is_file())
    check_comparable(run.preprocessing, files)

    def compare(folder: Path) -> None:
        print(f"Answering {len(files)} images in headless Chromium …", flush=True)
        arguments = (run.model, folder, files, run.preprocessing, run.classes, folder.parent)
        print(compare_with_page(*arguments))

    return compare


if __name__ == "__main__":
    app.run(main)
