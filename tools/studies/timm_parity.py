r"""Compares every ResNet of timm with the network here that has its weights, for docs/results.

    python -m tools.studies.timm_parity --out=docs/results
    python -m tools.studies.timm_parity --out=runs/timm --networks=seresnet50,ecaresnet26t

Lists the networks of timm's resnet.py with their trained checkpoints. Those that are built here get
random weights and batch norm statistics in timm, which are loaded by ``from_timm``, compared on
random images and written back. Writes timm.json, timm.csv and timm.md to --out after each network;
a table that was interrupted goes on where it was. Exits with 1 if the logits of one differ by more
than 1e-4 of the largest, its trainable parameters are not as many, or its weights do not come back
to the bit. Needs timm; takes about half an hour on 2 cores and 8 GB of memory.
"""

import fnmatch
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run
from srm_keras.support.tables import markdown_table
from srm_keras.support.timing import environment
from tools.studies.results import Results, Row, versions_text

BOUND = 1e-4
PACKAGES = ("srm-keras", "keras", "tensorflow", "torch", "timm", "numpy")
SIDE = 64
NONE = "–"
PAGE = """# The ResNets of timm

Every network of timm's `resnet.py`, its checkpoints (the tags of trained weights), and whether
`from_timm` builds it here. Those that it builds had random weights and batch norm statistics in
timm, {classes} classes: the parameters are the trainable ones of timm, which are as many here; the
difference is that of the logits over the largest logit, two images of {side}×{side}; "back" says
whether timm's weights come back from the network here to the bit. Bound: {bound:.0e}.

{counts}
No trained weights were converted for these numbers.

Command: `python -m tools.studies.timm_parity --out=docs/results`. {versions}, CPU.

{table}
"""


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_string("out", None, "Folder for timm.json, .csv and .md.", flag_values=flags)
    absl_flags.DEFINE_list(
        "networks", [], "Names of networks of timm; all by default.", flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "classes", 1000, "Number of classes.", lower_bound=2, flag_values=flags
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Compare the networks that the flags name."""
    shared.check(flags, arguments, "out")
    import keras

    from srm_keras.support.validation import one_of

    tags = _checkpoints()
    names = [one_of("networks", name, tags) for name in flags.networks] or sorted(tags)
    settings = {"classes": flags.classes, "image_size": SIDE}
    head = {"settings": settings, "environment": environment(PACKAGES)}
    place = ("network",)
    results = Results(Path(flags.out), "timm", "table of timm", head, place, _page, in_order=True)
    keys = [{"network": name, "checkpoints": " ".join(tags[name]) or NONE} for name in names]
    failed = 0

    def measure(key: Row) -> Row:
        keras.utils.clear_session()  # of the network before: the largest have 2 GB of weights
        return _measured(key["network"], flags.classes)

    rows = results.completed(keys, measure)
    for done, row in enumerate(rows, start=1):
        print(f"{done}/{len(names)} " + ", ".join(map(str, row.values())), flush=True)
        failed += row["here"] == "no"
    if failed:
        sys.exit(f"error: {failed} networks are not the same here; timm.csv says which.")


def _checkpoints() -> dict[str, list[str]]:
    """The tags of trained weights of each network of timm's resnet.py."""
    import timm

    trained = [name.partition(".") for name in timm.list_models(module="resnet", pretrained=True)]
    return {
        name: [tag for network, _, tag in trained if network == name]
        for name in timm.list_models(module="resnet")
    }


def _measured(name: str, classes: int) -> Row:
    """What a network of timm and the one here have in common, or why there is none."""
    from srm_keras.interop import list_timm
    from srm_keras.models.variants import OTHERS

    if name in list_timm():
        return _compared(name, classes)
    reasons = [reason for pattern, reason in OTHERS.items() if fnmatch.fnmatch(name, pattern)]
    return {
        **dict.fromkeys(("module", "parameters", "difference", "back"), NONE),
        "here": reasons[0] if reasons else "not known",
    }


def _compared(name: str, classes: int) -> Row:
    import numpy as np
    import timm
    import torch

    from srm_keras.interop import from_timm
    from srm_keras.interop.pytorch.files import COUNTERS
    from srm_keras.interop.pytorch.names import network_entries
    from srm_keras.layers import Recalibration
    from tests.support.torch_resnet import randomized

    network = randomized(timm.create_model(name, num_classes=classes))
    state = network.state_dict()
    shape = {"input_shape": (SIDE, SIDE, 3), "classifier_activation": None}
    model = from_timm(name, state, **shape)
    images = _images()
    with torch.no_grad():
        expected = network(torch.tensor(np.moveaxis(images, -1, 1).copy())).numpy()
    difference = np.abs(np.asarray(model(images)) - expected).max() / np.abs(expected).max()
    modules = {type(layer).__name__ for layer in model.layers if isinstance(layer, Recalibration)}
    # One array after the other: the largest network has 1.9 GB of them.
    entries = network_entries(model, "timm" if modules else "torchvision")
    counters = [key for key in state if key.endswith(COUNTERS)]
    exact = {entry.name for entry in entries} == state.keys() - counters
    exact = exact and all(
        (entry.to_torch() == state[entry.name].numpy()).all() for entry in entries
    )
    theirs = sum(parameter.numel() for parameter in network.parameters())
    ours = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return {
        "module": ", ".join(modules) or "none",
        "parameters": theirs,
        "difference": f"{difference:.1e}",
        "back": "yes" if exact else "no",
        "here": "yes" if exact and ours == theirs and difference <= BOUND else "no",
    }


def _images():
    """Two random images of another brightness and contrast."""
    import numpy as np

    images = np.random.default_rng(0).normal(size=(2, SIDE, SIDE, 3)).astype("float32")
    images[1] = 3 * images[1] + 1
    return images


def _page(study: dict[str, Any]) -> str:
    rows = study["rows"]
    return PAGE.format(
        classes=study["settings"]["classes"],
        side=SIDE,
        bound=BOUND,
        counts=_counts(rows),
        versions=versions_text(study["environment"]["packages"]),
        table=markdown_table(list(rows[0]), [[str(v) for v in row.values()] for row in rows]),
    )


def _counts(rows: Sequence[Row]) -> str:
    """How many checkpoints there are, and how many of them are of networks that are built here."""
    groups = {
        "with SE or ECA": ("se*", "eca*"),
        "of ResNet-RS, with SE": ("resnetrs*",),
        "in all": ("*",),
    }
    parts = []
    for words, patterns in groups.items():
        found = [row for row in rows if any(fnmatch.fnmatch(row["network"], p) for p in patterns)]
        count, here = _tags(found), _tags([row for row in found if row["here"] == "yes"])
        parts.append(f"{here} of {count} {words}")
    return f"Checkpoints of networks that are built here: {', '.join(parts)}."


def _tags(rows: Sequence[Row]) -> int:
    return sum(len(row["checkpoints"].split()) for row in rows if row["checkpoints"] != NONE)


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.timm_parity"))
