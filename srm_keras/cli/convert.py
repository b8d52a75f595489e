r"""Converts weights from elsewhere to a .keras file with a model card, and back to PyTorch.

    srm-keras convert --weights=resnet50.pth --network=resnet50 --out=resnet50.keras
    srm-keras convert --weights=srm_resnet50.pth.tar --network=srm_resnet50 --classes=24 \
        --out=start.keras
    srm-keras convert --weights=keras_applications --network=srm_resnet50 --out=start.keras
    srm-keras convert --to=torch --weights=resnet50.keras --out=resnet50.safetensors

Reads ResNets of torchvision, timm and the SRM authors (.pth, .pt, .tar, .bin, .ckpt, .safetensors),
told apart by their names, out of the checkpoints of Lightning, timm and others, and those of
keras.applications, which Keras downloads. Beside the file OUT it
writes OUT.card.json and OUT.card.md: source and SHA-256, architecture, parameters, classes and
the preprocessing that the weights were trained with. docs/weights.md says which weights fit.
"""

from collections.abc import Sequence

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared

RENAMED = {"model": "network"}


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_string(
        "weights",
        None,
        'PyTorch file or "keras_applications"; with --to=torch a .keras file of this package.',
        flag_values=flags,
    )
    shared.out(flags, holds=".keras file; .safetensors, .pth or .pt with --to=torch.")
    absl_flags.DEFINE_enum("to", "keras", ["keras", "torch"], "What to write.", flag_values=flags)
    absl_flags.DEFINE_string(
        "network",
        None,
        "Name of the network that the weights are of, such as resnet50, se_resnet50, srm_resnet50.",
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "classes",
        None,
        "Number of classes. Where the weights have another number the classifier is new.",
        flag_values=flags,
    )
    absl_flags.DEFINE_bool(
        "ema",
        None,
        "Of a PyTorch checkpoint with weights and their moving averages, take the averages or, "
        "with --noema, the weights. By default the averages where there are any.",
        flag_values=flags,
    )
    absl_flags.DEFINE_enum(
        "layout",
        "torchvision",
        ["torchvision", "timm", "authors"],
        "Names of the parameters with --to=torch: torchvision (no modules), timm (SE, ECA) or "
        "authors (SRM, SE, GE).",
        flag_values=flags,
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Convert as the flags say."""
    _check(flags, arguments)
    try:
        card = _convert(flags)
    except Exception as error:  # Keras raises bare exceptions where a download fails.
        raise ValueError(str(error)) from error
    network = card["network"]
    print(
        f"Wrote {flags.out}: {network['name']}, {network['trainable_parameters']:,} trainable "
        f"parameters, {network['output_shape'][-1]} classes"
    )


def _check(flags: FlagValues, arguments: Sequence[str]) -> None:
    shared.check(flags, arguments)
    for flag in (
        flags["weights"],
        flags["out"],
        *([flags["network"]] if flags.to == "keras" else []),
    ):
        shared.require(flags, flag.name)
    others = (
        (flags["network"], flags["classes"], flags["ema"])
        if flags.to == "torch"
        else (flags["layout"],)
    )
    for flag in others:
        if flag.present:
            raise ValueError(f"`--{flag.name}` is not for --to={flags.to}.")


def _convert(flags: FlagValues):
    from srm_keras.interop import convert, convert_to_torch

    if flags.to == "torch":
        return convert_to_torch(flags.weights, flags.out, flags.layout)
    return convert(flags.weights, flags.network, flags.out, flags.classes, ema=flags.ema)
