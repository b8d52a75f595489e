r"""Puts a trained network on the web page in docs/web_demo.

    python -m tools.web_demo --run=runs/texture_shapes_srm
    python -m http.server --directory docs/web_demo

Reads a run folder of train.classify, writes RUN/export/web/ (what srm_keras.export.to_web writes,
compared with the Keras model on evaluation images) and copies it to docs/web_demo/model/. With
--compare=FOLDER the images there are answered by the page in headless Chromium as well, and
compared with TensorFlow and Keras: RUN/export/web_comparison.json and .csv.

    python -m tools.web_demo --run=runs/painting_srm --image_size=256

Of a run folder of train.stylize it writes the network for the page's second tab, to
docs/web_demo/stylizer/.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags, logging

from tools.command_line import check_flags, start, stop

RUN = flags.DEFINE_string("run", None, "Run folder of train.classify or train.stylize.")
OUT = flags.DEFINE_string(
    "out", None, "Folder to copy to. By default docs/web_demo/model, or stylizer of train.stylize."
)
CHECKPOINT = flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which weights to export.")
SAMPLES = flags.DEFINE_integer(
    "samples",
    None,
    "Number of evaluation images on which outputs are compared. By default 64; of train.stylize 8.",
    lower_bound=1,
)
COMPARE = flags.DEFINE_string(
    "compare", None, "train.classify: folder of JPEG or PNG files, any depth."
)
STYLIZER_IMAGES = flags.DEFINE_string(
    "images",
    None,
    "train.stylize: folder of JPEG or PNG files on which outputs are compared. By default the "
    "held-out photos of the run.",
)
IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "train.stylize: side of the square that the page paints. By default that of the training.",
    lower_bound=8,
)


def main(argv: Sequence[str]) -> None:
    """Export the run that the flags name and copy it to the page."""

    from srm_keras.export import ExportError
    from srm_keras.export.web.browser import BrowserError

    try:
        _export(argv)
    except (ExportError, BrowserError) as error:
        stop(error)


def _export(argv: Sequence[str]) -> None:
    check_flags(argv, RUN)
    from tools.stylizer_runs import is_stylizer_run

    if is_stylizer_run(RUN.value):
        _export_stylizer()
    else:
        _export_classifier()


def _export_classifier() -> None:
    from srm_keras.export.web.exporter import to_web
    from srm_keras.training import load_run
    from tools.run_samples import evaluation_samples

    if STYLIZER_IMAGES.value or IMAGE_SIZE.value:
        raise ValueError("`--images` and `--image_size` are for runs of train.stylize.")
    page = _page("model")
    run = load_run(RUN.value, CHECKPOINT.value)
    compare = _comparison(run)
    samples = evaluation_samples(run, SAMPLES.value or 64).inputs
    folder = _publish(
        page, lambda folder: to_web(run.model, folder, samples, run.preprocessing, run.classes)
    )
    compare(folder)


def _export_stylizer() -> None:
    from srm_keras.export.predictions import image_files
    from srm_keras.export.web.stylizer import stylizer_to_web
    from tools.stylizer_runs import load_stylizer_run, photo_samples

    if COMPARE.value:
        raise ValueError("`--compare` is for runs of train.classify.")
    page = _page("stylizer")
    files = image_files([STYLIZER_IMAGES.value]) if STYLIZER_IMAGES.value else ()
    run = load_stylizer_run(RUN.value)
    side = IMAGE_SIZE.value or run.recipe.content.image_size
    samples = photo_samples(run, SAMPLES.value or 8, side, files)
    _publish(page, lambda folder: stylizer_to_web(run.model, folder, samples, side))


def _page(name: str) -> Path:
    """The folder of the page that the network goes to, checked."""
    from srm_keras.export.web.browser import WEB_DEMO
    from srm_keras.export.web.exporter import web_folder

    return web_folder(OUT.value or WEB_DEMO / name)


def _publish(page: Path, export: Callable[[Path], object]) -> Path:
    """Export to RUN/export/web and copy what was written to the page."""
    from srm_keras.files import write_atomically

    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    folder = Path(RUN.value) / "export" / "web"
    print(export(folder), flush=True)
    write_atomically(page, lambda path: shutil.copytree(folder, path))
    print(f"Wrote {page}. See the page: python -m http.server --directory docs/web_demo")
    return folder


def _comparison(run) -> Callable[[Path], None]:
    """What --compare asks for, checked before anything is exported."""
    from srm_keras.export.predictions import image_files
    from srm_keras.export.web.comparison import check_comparable, compare_with_page

    if not COMPARE.value:
        return lambda folder: None
    files = image_files([COMPARE.value])
    check_comparable(run.preprocessing, files)

    def compare(folder: Path) -> None:
        print(f"Answering {len(files)} images in headless Chromium …", flush=True)
        arguments = (run.model, folder, files, run.preprocessing, run.classes, folder.parent)
        print(compare_with_page(*arguments))

    return compare


if __name__ == "__main__":
    start(main)
