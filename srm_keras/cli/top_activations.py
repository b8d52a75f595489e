r"""Shows the images that lead to the highest weight of each channel (figs. 7 and 10 of the paper).

    srm-keras top_activations --models=runs/se,runs/srm --out=analysis/top

Takes networks with recalibration modules that were trained on the same data, and looks at the
images of their evaluation split or at those of --images. Writes to --out:

    top_<block>.png     for each of --blocks the top image of each channel, runs side by side
    ranked_<block>.png  the --top images of the first 16 channels, with the channel's weight
    top.csv             run, block, channel, rank, image, label, weight, for each of --blocks
    diversity.csv/.json how far the channels of every block differ in their top images
    diversity.png       the same as bars, beside what chance would give

Images are numbered from 0 in the order of the split; with --samples, among those chosen from it.
The label of a file is its name.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl import logging
from absl.flags import FlagValues

from srm_keras.cli import flags as shared


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.models(flags, shared.CLASSIFIERS)
    shared.out(flags)
    shared.checkpoint(flags)
    absl_flags.DEFINE_list(
        "blocks",
        [],
        "Blocks to draw, such as conv2_6; by default the last one of every stage.",
        flag_values=flags,
    )
    shared.samples(flags, None, "by default all.")
    shared.images(flags, "looked at instead of the evaluation split.")
    absl_flags.DEFINE_integer(
        "top", 5, "Number of images for each channel.", lower_bound=1, flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "channels", 64, "Channels to draw, at most.", lower_bound=1, flag_values=flags
    )
    shared.batch_size(flags, 128)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Analyse the runs that the flags name."""
    shared.check(flags, arguments, "models", "out")
    from srm_keras.analysis.activations.pictures import plot_diversity
    from srm_keras.cli.networks import analysed_runs, drawn_blocks
    from srm_keras.cli.samples import SampleBatches
    from srm_keras.export.predictions import image_files
    from srm_keras.support.files import writable_file

    logging.set_verbosity(logging.ERROR)  # TensorFlow warns that every network is a new one.
    out = writable_file("out", Path(flags.out) / "top.csv").parent
    files = image_files(flags.images) if flags.images else ()
    runs = analysed_runs(flags.models, flags.checkpoint, gates=True, files=bool(flags.images))
    blocks = drawn_blocks(runs, flags.blocks)
    first = next(iter(runs.values()))
    samples = SampleBatches(first, flags.samples, flags.batch_size, files)
    if flags.top > len(samples.positions):
        raise ValueError(
            f"`--top` must be at most the number of images, {len(samples.positions)}. "
            f"Received: --top={flags.top}"
        )
    labels: list[int] = []
    found = {label: _found(flags, label, run, samples, labels) for label, run in runs.items()}
    names = [str(files[k]) for k in samples.positions] if files else _names(first, labels)
    _write_tables(out, found, blocks, samples.split, names)
    plot_diversity(found, out / "diversity.png")
    _draw(flags, out, found, blocks, samples.shown)
    print(_table(found))
    print(f"Wrote top.csv, diversity.csv and the pictures of {', '.join(blocks)} to {out}")


def _found(flags: FlagValues, label: str, run, samples, labels: list[int]):
    """The top images of a run; ``labels`` becomes the class of each image."""
    from srm_keras.analysis.activations.top_activations import top_activations

    labels.clear()

    def batches():
        for inputs, numbers in samples.told(f"{label}: analysed"):
            labels.extend(numbers)
            yield inputs

    return top_activations(run.model, batches(), flags.top)


def _names(run, labels: Sequence[int]) -> list[str]:
    return [run.classes[label] for label in labels]


def _write_tables(out: Path, found, blocks, split: str, labels: Sequence[str]) -> None:
    from srm_keras.support.files import write_csv, write_json

    rows = [
        {"run": label, **row, "label": labels[row["image"]]}
        for label, activations in found.items()
        for row in activations.to_rows()
        if row["block"] in blocks
    ]
    names = ["run", "block", "channel", "rank", "image", "label", "weight"]
    write_csv(out / "top.csv", rows, names)
    diversities = _diversities(found)
    write_csv(out / "diversity.csv", diversities)
    write_json(out / "diversity.json", {"split": split, "blocks": diversities})


def _diversities(found) -> list[dict]:
    return [
        {"run": label, "block": name, **block.diversity.to_dict()}
        for label, activations in found.items()
        for name, block in activations.blocks.items()
    ]


def _draw(flags: FlagValues, out: Path, found, blocks, images) -> None:
    from srm_keras.analysis.activations.pictures import (
        RANKED_CHANNELS,
        contact_sheet,
        ranked_sheet,
        save_picture,
    )

    for name in blocks:
        block = {label: activations.blocks[name] for label, activations in found.items()}
        of = f"of {len(images):,} images for each channel of {name}"
        sheet = contact_sheet(block, images, f"Top image {of}", flags.channels)
        save_picture(sheet, out / f"top_{name}.png")
        shown = min(flags.channels, RANKED_CHANNELS)
        sheet = ranked_sheet(block, images, f"Top images {of}, and its weight", shown)
        save_picture(sheet, out / f"ranked_{name}.png")


def _table(found) -> str:
    from srm_keras.support.tables import text_table

    header = ["run", "block", "channels", "tied", "distinct", "by chance", "overlap", "by chance"]
    rows = [
        [
            row["run"],
            row["block"],
            *(str(row[name]) for name in ("channels", "tied", "distinct")),
            f"{row['distinct_by_chance']:.1f}",
            f"{row['overlap']:.4f}",
            f"{row['overlap_by_chance']:.4f}",
        ]
        for row in _diversities(found)
    ]
    return text_table(header, rows)
