r"""Converts weights from elsewhere to a .keras file with a model card, and back to PyTorch.

    python -m tools.convert --weights=resnet50.pth --model=resnet50 --out=resnet50.keras
    python -m tools.convert --weights=srm_resnet50.pth.tar --model=srm_resnet50 --classes=24 \
        --out=start.keras
    python -m tools.convert --weights=keras_applications --model=srm_resnet50 --out=start.keras
    python -m tools.convert --to=torch --weights=resnet50.keras --out=resnet50.safetensors

Reads ResNets of torchvision, timm and the SRM authors (.pth, .pt, .tar, .bin, .ckpt, .safetensors),
told apart by their names, out of the checkpoints of Lightning, timm and others, and those of
keras.applications, which Keras downloads. Beside the file OUT it
writes OUT.card.json and OUT.card.md: source and SHA-256, architecture, parameters, classes and
the preprocessing that the weights were trained with. docs/weights.md says which weights fit.
"""

from collections.abc import Sequence

from absl import flags

from tools.command_line import check_flags, require, start, stop

WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    'PyTorch file or "keras_applications"; with --to=torch a .keras file of this package.',
)
OUT = flags.DEFINE_string("out", None, ".keras file; .safetensors, .pth or .pt with --to=torch.")
TO = flags.DEFINE_enum("to", "keras", ["keras", "torch"], "What to write.")
MODEL = flags.DEFINE_string(
    "model", None, "Network that the weights are of, such as resnet50, se_resnet50, srm_resnet50."
)
CLASSES = flags.DEFINE_integer(
    "classes",
    None,
    "Number of classes. Where the weights have another number the classifier is new.",
)
EMA = flags.DEFINE_bool(
    "ema",
    None,
    "Of a PyTorch checkpoint with weights and their moving averages, take the averages or, with "
    "--noema, the weights. By default the averages where there are any.",
)
LAYOUT = flags.DEFINE_enum(
    "layout",
    "torchvision",
    ["torchvision", "timm", "authors"],
    "Names of the parameters with --to=torch: torchvision (no modules), timm (SE, ECA) or "
    "authors (SRM, SE, GE).",
)


def main(argv: Sequence[str]) -> None:
    """Convert as the flags say."""
    _check(argv)
    try:
        card = _convert()
    except Exception as error:  # Keras raises bare exceptions where a download fails.
        return stop(error)
    network = card["network"]
    print(
        f"Wrote {OUT.value}: {network['name']}, {network['trainable_parameters']:,} trainable "
        f"parameters, {network['output_shape'][-1]} classes"
    )


def _check(argv: Sequence[str]) -> None:
    check_flags(argv)
    for flag in (WEIGHTS, OUT, *([MODEL] if TO.value == "keras" else [])):
        require(flag)
    others = (MODEL, CLASSES, EMA) if TO.value == "torch" else (LAYOUT,)
    for flag in others:
        if flag.present:
            raise ValueError(f"`--{flag.name}` is not for --to={TO.value}.")


def _convert():
    from srm_keras.interop import convert, convert_to_torch

    if TO.value == "torch":
        return convert_to_torch(WEIGHTS.value, OUT.value, LAYOUT.value)
    return convert(WEIGHTS.value, MODEL.value, OUT.value, CLASSES.value, ema=EMA.value)


if __name__ == "__main__":
    start(main)
