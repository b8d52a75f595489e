r"""Paints images, or folders of them, with a trained stylization network.

    python -m tools.stylize --stylizer=runs/mosaic --images=photo.jpg --out=painted.jpg
    python -m tools.stylize --stylizer=runs/mosaic --images=photos/ --out=painted/ --size=1024
    python -m tools.stylize --stylizer=runs/adain --style=painting.jpg --strength=0.7 \
        --images=photos/ --out=painted/

--stylizer is a run folder of train.stylize or a .keras file. Of a folder all JPEG, PNG, BMP and
WebP files are painted, at any depth, to the same names below --out. What is there already is kept,
so that a run that was killed goes on where it was. A file that cannot be read is told in one line,
the others are painted, and the exit status is 1; so is one of more than four million pixels, with
the --size that fits. docs/style_transfer.md says more, and how to paint the frames of a video.
"""

import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tools.command_line import check_flags, start

STYLIZER = flags.DEFINE_string("stylizer", None, "The network; see above.")
IMAGES = flags.DEFINE_string("images", None, "An image or a folder of images.")
OUT = flags.DEFINE_string("out", None, "File or folder for the result.")
SIZE = flags.DEFINE_integer(
    "size", None, "Longest side to which larger images are reduced.", lower_bound=1
)
STYLE = flags.DEFINE_string("style", None, "The painting, for AdaIN networks.")
STRENGTH = flags.DEFINE_float("strength", 1.0, "Of the style, 0 to 1, for AdaIN networks.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Delete earlier results and begin anew.")


def main(argv: Sequence[str]) -> None:
    """Paint what the flags name."""
    check_flags(argv, STYLIZER, IMAGES, OUT)
    counts = _stylize()
    if counts["failed"]:
        sys.exit(f"error: {counts['failed']} of {counts.total()} images could not be painted")


def _stylize() -> Counter[str]:
    """Paint, and return how many images came to which end."""
    from srm_keras.data.progress import with_progress
    from srm_keras.export.stylize import Options, load_stylizer, plan_work

    work = plan_work(IMAGES.value, OUT.value, Options(SIZE.value))
    stylizer = load_stylizer(STYLIZER.value, _style(), STRENGTH.value)
    work.begin(_settings(), OVERWRITE.value)
    counts: Counter[str] = Counter()
    for outcome in with_progress(work.paint(stylizer), len(work.jobs), "stylized", "images"):
        counts[outcome.state] += 1
        if outcome.error and len(work.jobs) == 1:
            raise ValueError(f"{outcome.error} ({outcome.source})")
        if outcome.error:
            print(f"{outcome.source}: {outcome.error}", file=sys.stderr, flush=True)
    print(f"painted {counts['written']:,} images to {OUT.value}", file=sys.stderr)
    if counts["kept"]:
        print(
            f"kept {counts['kept']:,} that were there (--overwrite makes them anew)",
            file=sys.stderr,
        )
    return counts


def _style():
    """The painting, if there is one."""
    if not STYLE.value:
        return None
    from srm_keras.export.stylize import read_picture

    try:
        return read_picture(Path(STYLE.value)).pixels
    except ValueError as error:
        raise ValueError(f"`--style` cannot be read ({error}). Received: {STYLE.value}") from None


def _settings() -> dict[str, str | float | None]:
    """What decides how the results look."""
    from srm_keras.export.stylize.stylizer import network_file

    return {
        "stylizer": _digest(network_file(STYLIZER.value)),
        "style": _digest(Path(STYLE.value)) if STYLE.value else None,
        "strength": STRENGTH.value,
        "size": SIZE.value,
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    start(main)
