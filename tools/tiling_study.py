r"""Measures what painting in pieces changes, on images that can be painted whole.

    python -m tools.tiling_study --stylizer=runs/mosaic --images=photos/ --tile=256 --out=study/

Writes tiling.csv, differences to the picture painted whole, and the pictures: painted in pieces
with statistics of the whole image, of the image reduced, and of every piece by itself.
docs/style_transfer.md has the results.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from tools.command_line import check_flags

STYLIZER = flags.DEFINE_string("stylizer", None, "A run folder of train.stylize or a .keras file.")
IMAGES = flags.DEFINE_string("images", None, "An image or a folder of images.")
OUT = flags.DEFINE_string("out", None, "Folder for the table and the pictures.")
TILE = flags.DEFINE_integer("tile", 256, "Side of the pieces.", lower_bound=1)
SIZE = flags.DEFINE_integer("size", None, "Longest side of larger images.", lower_bound=1)
LIMIT = flags.DEFINE_integer("limit", None, "Take the first so many images.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Measure on every image and write the table."""
    try:
        check_flags(argv, STYLIZER, IMAGES, OUT)
        _study()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def _study() -> None:
    from srm_keras.data.progress import with_progress
    from srm_keras.export.stylize import load_stylizer, read_picture
    from srm_keras.export.stylize.files import plan_jobs
    from srm_keras.export.stylize.pictures import Picture, write_picture
    from srm_keras.export.stylize.tiling_study import study_tiling
    from srm_keras.files import write_csv

    jobs = plan_jobs(IMAGES.value, OUT.value)[: LIMIT.value]
    stylizer = load_stylizer(STYLIZER.value)
    rows = []
    for job in with_progress(jobs, len(jobs), "measured", "images"):
        image = read_picture(job.source, SIZE.value).pixels
        for result in study_tiling(stylizer, image, TILE.value):
            rows.append({"image": job.source.name, "tile": TILE.value, **result.numbers()})
            name = result.statistics.replace("/", "_").replace(" ", "_")
            target = job.target.with_name(f"{job.target.stem}_{name}.png")
            write_picture(target, Picture(result.pixels))
        write_csv(Path(OUT.value) / "tiling.csv", rows)
    for statistics in dict.fromkeys(row["statistics"] for row in rows):
        print(_summary(statistics, [row for row in rows if row["statistics"] == statistics]))


def _summary(statistics: str, rows: list[dict]) -> str:
    mean, seam = (
        sum(row[name] for row in rows) / len(rows) for name in ("mean_difference", "seam_step")
    )
    largest = max(row["max_difference"] for row in rows)
    return f"{statistics:10}  mean {mean:.3f}  max {largest}  step at borders {seam:+.3f}"


if __name__ == "__main__":
    app.run(main)
