r"""Puts a trained network on the web page in docs/web_demo.

    python -m tools.web_demo --model=runs/texture_shapes_srm
    python -m http.server --directory docs/web_demo

Reads a run folder of train, writes RUN/export/web/ (what srm_keras.export.to_web writes,
compared with the Keras model on evaluation images) and copies it to docs/web_demo/model/. Of a
preset, a file or a trained network by name, which are read as well, exports/NAME/web/ is written
and the images are those of the data that its card names. With
--compare=FOLDER the images there are answered by the page in headless Chromium as well, and
compared with TensorFlow and Keras: RUN/export/web_comparison.json and .csv.

    python -m tools.web_demo --model=runs/painting_srm --image_size=256

Of a run folder of train_stylizer it writes the network for the page's second tab, to
docs/web_demo/stylizer/.
"""

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl import logging
from absl.flags import FlagValues

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run

TAKES = ("run", "stylizer", *shared.CLASSIFIERS[1:])


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.model(flags, TAKES)
    shared.out(
        flags,
        holds="Folder to copy to. By default docs/web_demo/model, or stylizer of train_stylizer.",
    )
    shared.checkpoint(flags)
    shared.samples(
        flags, None, "on which outputs are compared. By default 64; of train_stylizer 8."
    )
    absl_flags.DEFINE_string(
        "compare", None, "train: folder of JPEG or PNG files, any depth.", flag_values=flags
    )
    shared.images(
        flags, "train_stylizer: outputs are compared on them, not on held-out photos of the run."
    )
    absl_flags.DEFINE_integer(
        "image_size",
        None,
        "train_stylizer: side of the square that the page paints. By default that of the training.",
        lower_bound=8,
        flag_values=flags,
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Export the run that the flags name and copy it to the page."""

    from srm_keras.export import ExportError
    from srm_keras.export.web.browser import BrowserError

    try:
        _export(flags, arguments)
    except (ExportError, BrowserError) as error:
        raise ValueError(str(error)) from error


def _export(flags: FlagValues, arguments: Sequence[str]) -> None:
    shared.check(flags, arguments, "model")
    from srm_keras.cli.networks import kind_of

    if kind_of(flags.model, TAKES) == "stylizer":
        _export_stylizer(flags)
    else:
        _export_classifier(flags)


def _export_classifier(flags: FlagValues) -> None:
    from srm_keras.cli.networks import load_trained
    from srm_keras.cli.samples import evaluation_samples
    from srm_keras.export.web.exporter import to_web

    if flags.images or flags.image_size:
        raise ValueError("`--images` and `--image_size` are for runs of train_stylizer.")
    page = _page(flags, "model")
    run = load_trained(flags.model, flags.checkpoint)
    compare = _comparison(flags, run)
    samples = evaluation_samples(run, flags.samples or 64).inputs
    folder = _publish(
        flags,
        page,
        lambda folder: to_web(run.model, folder, samples, run.preprocessing, run.classes),
    )
    compare(folder)


def _export_stylizer(flags: FlagValues) -> None:
    from srm_keras.cli.networks import load_stylizer_run, photo_samples
    from srm_keras.export.predictions import image_files
    from srm_keras.export.web.exporter import stylizer_to_web

    if flags.compare:
        raise ValueError("`--compare` is for runs of train.")
    page = _page(flags, "stylizer")
    files = image_files(flags.images) if flags.images else ()
    run = load_stylizer_run(flags.model)
    side = flags.image_size or run.recipe.content.image_size
    samples = photo_samples(run, flags.samples or 8, side, files)
    _publish(flags, page, lambda folder: stylizer_to_web(run.model, folder, samples, side))


def _page(flags: FlagValues, name: str) -> Path:
    """The folder of the page that the network goes to, checked."""
    from srm_keras.export.web.browser import WEB_DEMO
    from srm_keras.export.web.exporter import web_folder

    return web_folder(flags.out or WEB_DEMO / name)


def _publish(flags: FlagValues, page: Path, export: Callable[[Path], object]) -> Path:
    """Export to RUN/export/web or exports/NAME/web and copy what was written to the page."""
    from srm_keras.interop.presets import is_preset_name
    from srm_keras.support.files import write_atomically

    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    is_run = Path(flags.model).is_dir() and not is_preset_name(flags.model)
    folder = Path(flags.model, "export") if is_run else Path("exports", Path(flags.model).stem)
    folder /= "web"
    print(export(folder), flush=True)
    write_atomically(page, lambda path: shutil.copytree(folder, path))
    print(f"Wrote {page}. See the page: python -m http.server --directory docs/web_demo")
    return folder


def _comparison(flags: FlagValues, run) -> Callable[[Path], None]:
    """What --compare asks for, checked before anything is exported."""
    from srm_keras.export.predictions import image_files
    from srm_keras.export.web.browser import check_comparable, compare_with_page

    if not flags.compare:
        return lambda folder: None
    files = image_files([flags.compare])
    check_comparable(run.preprocessing, files)

    def compare(folder: Path) -> None:
        print(f"Answering {len(files)} images in headless Chromium …", flush=True)
        arguments = (run.model, folder, files, run.preprocessing, run.classes, folder.parent)
        print(compare_with_page(*arguments))

    return compare


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.web_demo"))
