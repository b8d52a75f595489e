r"""Makes a stylized copy of a data set: each image in the style of a random painting.

    srm-keras stylize_dataset --model=runs/adain --data=image_folder \
        --options=data_dir=textures --splits=train,test:val --paintings=paintings \
        --out=stylized_textures

Takes a stylizer that train_stylizer made with method adain, and any data set of docs/data.md.
Writes to --out

    <split>/<class>/<name>.jpg    the images, in their own sizes
    manifest.csv                  split, image, painting and file of each
    skipped.csv                   images and paintings that could not be read
    stylized.json                 the parameters

Deterministic in --seed. Workers with --shard=0 ... --shard=n-1 and --shards=n share the work; a
command that was interrupted goes on where it was. The exit status is 1 if anything was skipped.
docs/stylized_data.md says more.
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

TAKES = ("stylizer", "keras")


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.model(flags, TAKES)
    absl_flags.DEFINE_string(
        "data", None, "Data source, as image_folder, imagenet, texture_shapes.", flag_values=flags
    )
    absl_flags.DEFINE_list(
        "options",
        [],
        "The source's options, as data_dir=FOLDER,label=texture. Numbers are understood.",
        flag_values=flags,
    )
    absl_flags.DEFINE_list(
        "splits",
        ["train"],
        "Splits to copy, as train,test:val, where test is called val in the copy.",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "paintings", None, "Folder of JPEG, PNG, BMP and WebP files.", flag_values=flags
    )
    shared.out(flags, holds="Folder of the copy.")
    absl_flags.DEFINE_integer(
        "seed", 0, "Which image gets which painting.", lower_bound=0, flag_values=flags
    )
    absl_flags.DEFINE_float(
        "strength", 1.0, "Strength of the style, from 0 (none) to 1.", flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "painting_size",
        256,
        "Shorter side in pixels to which paintings are brought.",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "shard", 0, "Number of this worker, from 0.", lower_bound=0, flag_values=flags
    )
    absl_flags.DEFINE_integer("shards", 1, "Number of workers.", lower_bound=1, flag_values=flags)
    shared.batch_size(flags, 32)
    absl_flags.DEFINE_enum(
        "format", "jpg", ["jpg", "png"], "Of the copies; jpg is quality 95.", flag_values=flags
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Stylize the data set that the flags name."""
    try:
        report = _stylize(flags, arguments)
    except KeyboardInterrupt:
        sys.exit("Interrupted; the same command goes on.")
    print(f"Stylized {report.stylized:,} images; {report.found:,} were there. See {flags.out}")
    if not report.complete:
        sys.exit(_told(report))


def _stylize(flags: FlagValues, arguments: Sequence[str]):
    shared.check(flags, arguments, "model", "data", "paintings", "out")
    from srm_keras.cli.networks import kind_of
    from srm_keras.data import check_source, load_examples
    from srm_keras.data.stylized import stylize_dataset
    from srm_keras.export.stylize.stylizer import load_network

    names = _split_names(flags.splits)
    options = _options(flags.data, flags.options)
    check_source(flags.data, names.values(), options)
    kind_of(flags.model, TAKES)
    network = load_network(flags.model)
    splits = {name: load_examples(flags.data, split, **options) for name, split in names.items()}
    return stylize_dataset(
        network,
        splits,
        flags.paintings,
        flags.out,
        alpha=flags.strength,
        seed=flags.seed,
        painting_size=flags.painting_size,
        shard=flags.shard,
        shards=flags.shards,
        batch_size=flags.batch_size,
        image_format=flags.format,
    )


def _split_names(texts: Sequence[str]) -> dict[str, str]:
    """For each split of the copy the one it is made of."""
    pairs = [text.partition(":") for text in texts]
    names = {copy or split: split for split, _, copy in pairs}
    if len(names) < len(pairs) or not all(names.values()):
        raise ValueError(
            f"`--splits` must be names that differ, as train,test:val. Received: {','.join(texts)}"
        )
    return names


def _options(source: str, texts: Sequence[str]) -> dict:
    """The source's options; of an image folder files are checked when they are painted."""
    import ast

    values: dict[str, Any] = {"verify": False} if source == "image_folder" else {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(f"`--options` must be name=value,… Received: {text!r}")
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[name] = value
    return values


def _told(report) -> str:
    """What could not be read, in a line each and a last one."""
    lines = [
        f"skipped {kind} {name}: {reason}"
        for kind, reasons in (("image", report.skipped), ("painting", report.skipped_paintings))
        for name, reason in reasons.items()
    ]
    counts = f"{len(report.skipped)} images and {len(report.skipped_paintings)} paintings"
    return "\n".join([*lines, f"error: {counts} could not be read; they are in skipped.csv"])
