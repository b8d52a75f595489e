r"""Paints images, or folders of them, with a trained stylization network.

    srm-keras stylize --model=runs/mosaic --images=photo.jpg --out=painted.jpg
    srm-keras stylize --model=runs/mosaic --images=photos/ --out=painted/ --size=1024
    srm-keras stylize --model=runs/adain --style=painting.jpg --strength=0.7 \
        --images=photos/ --out=painted/

--model is a run folder of train_stylizer or a .keras file. Of a folder all JPEG, PNG, BMP and
WebP files are painted, at any depth, to the same names below --out. What is there already is kept,
so that a run that was killed goes on where it was. A file that cannot be read is told in one line,
the others are painted, and the exit status is 1; so is one of more than four million pixels, with
the --size that fits. docs/style_transfer.md says more, and how to paint the frames of a video.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

TAKES = ("stylizer", "keras")


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.model(flags, TAKES)
    shared.images(flags, "painted, of a folder to the same names below --out.")
    shared.out(flags, holds="Folder for the results, or of one image their file.")
    absl_flags.DEFINE_integer(
        "size",
        None,
        "Longest side to which larger images are reduced.",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_string("style", None, "The painting, for AdaIN networks.", flag_values=flags)
    absl_flags.DEFINE_float(
        "strength", 1.0, "Of the style, 0 to 1, for AdaIN networks.", flag_values=flags
    )
    shared.overwrite(flags, "earlier results")


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Paint what the flags name."""
    shared.check(flags, arguments, "model", "images", "out")
    counts = _stylize(flags)
    if counts["failed"]:
        sys.exit(f"error: {counts['failed']} of {counts.total()} images could not be painted")


def _stylize(flags: FlagValues) -> Counter[str]:
    """Paint, and return how many images came to which end."""
    from srm_keras.cli.networks import kind_of
    from srm_keras.export.stylize import load_stylizer, plan_work
    from srm_keras.support.timing import with_progress

    kind_of(flags.model, TAKES)
    work = plan_work(flags.images, flags.out, flags.size)
    stylizer = load_stylizer(flags.model, _style(flags), flags.strength)
    work.begin(_settings(flags), flags.overwrite)
    counts: Counter[str] = Counter()
    for outcome in with_progress(work.paint(stylizer), len(work.jobs), "stylized", "images"):
        counts[outcome.state] += 1
        if outcome.error and len(work.jobs) == 1:
            raise ValueError(f"{outcome.error} ({outcome.source})")
        if outcome.error:
            print(f"{outcome.source}: {outcome.error}", file=sys.stderr, flush=True)
    print(f"painted {counts['written']:,} images to {flags.out}", file=sys.stderr)
    if counts["kept"]:
        print(
            f"kept {counts['kept']:,} that were there (--overwrite makes them anew)",
            file=sys.stderr,
        )
    return counts


def _style(flags: FlagValues):
    """The painting, if there is one."""
    if not flags.style:
        return None
    from srm_keras.export.stylize import read_picture

    try:
        return read_picture(Path(flags.style)).pixels
    except ValueError as error:
        raise ValueError(f"`--style` cannot be read ({error}). Received: {flags.style}") from None


def _settings(flags: FlagValues) -> dict[str, str | float | None]:
    """What decides how the results look."""
    from srm_keras.export.stylize.stylizer import network_file
    from srm_keras.support.files import sha256_of

    return {
        "model": sha256_of(network_file(flags.model)),
        "style": sha256_of(Path(flags.style)) if flags.style else None,
        "strength": flags.strength,
        "size": flags.size,
    }
