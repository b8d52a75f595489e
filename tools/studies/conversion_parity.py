r"""Compares converted networks with the originals on the same images, for docs/weights.md.

    python -m tools.studies.conversion_parity --out=docs/results
    python -m tools.studies.conversion_parity --out=runs/parity --depths=18 --image_size=64

PyTorch networks of every layout and module, with random weights and batch norm statistics, are
loaded, compared and written back; those of keras.applications are loaded and compared. Writes
conversion.json, conversion.csv and conversion.md to --out after each network. A table that was
interrupted goes on where it was. Exits with 1 if the logits of one differ by more than 1e-4 of the
largest, or its weights do not come back to the bit. Needs PyTorch; takes about a minute a network
on 2 cores.
"""

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
from tools.studies.results import Results, Row, random_statistics, versions_text

BOUND = 1e-4
APPLICATIONS = "keras.applications"
PACKAGES = ("srm-keras", "keras", "tensorflow", "torch", "numpy")
PAGE = """# Conversion parity

Logits of a network in PyTorch (or of keras.applications) and of the one here that its weights were
loaded into: the largest difference over the largest logit, {images} images of {size}×{size}, 1000
classes. Weights and batch norm statistics are random. "Back" says whether `to_torch_state_dict`
gives every array back to the bit. Parameters include the moving averages. Bound: {bound:.0e}.

Command: `python -m tools.studies.conversion_parity --out=docs/results`. {versions}, CPU.

{table}
"""


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_string(
        "out", None, "Folder for conversion.json, .csv and .md.", flag_values=flags
    )
    absl_flags.DEFINE_list(
        "depths", ["18", "50", "101"], "Of: 18, 34, 50, 101, 152.", flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "image_size", 224, "Side of the images.", lower_bound=32, flag_values=flags
    )
    absl_flags.DEFINE_integer("images", 4, "Number of images.", lower_bound=2, flag_values=flags)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Compare the networks that the flags name."""
    failed = _compare(flags, arguments)
    if failed:
        sys.exit(f"error: {failed} networks are out of the bound; conversion.csv says which.")


def _compare(flags: FlagValues, arguments: Sequence[str]) -> int:
    shared.check(flags, arguments, "out")
    from srm_keras.support.validation import one_of
    from tests.support import torch_resnet

    for depth in flags.depths:
        one_of("depths", depth, [str(depth) for depth in torch_resnet.DEPTHS])
    depths = [int(depth) for depth in flags.depths]
    cells = [(depth, kind) for depth in depths for kind in torch_resnet.KINDS]
    cells += [(depth, APPLICATIONS) for depth in depths if depth >= 50]
    settings = {"images": flags.images, "image_size": flags.image_size}
    head = {"settings": settings, "environment": environment(PACKAGES)}
    place = ("network", "source", "module")
    results = Results(Path(flags.out), "conversion", "conversion table", head, place, _page)

    def measure(key: Row) -> Row:
        return _measured(flags, *by_key[tuple(key.values())])

    keys = [_key(depth, kind) for depth, kind in cells]
    by_key = {tuple(key.values()): cell for key, cell in zip(keys, cells, strict=True)}
    failed = 0
    for done, row in enumerate(results.completed(keys, measure), start=1):
        print(f"{done}/{len(cells)} " + ", ".join(map(str, row.values())), flush=True)
        failed += not float(row["difference"]) <= BOUND or row["back"] == "no"
    return failed


def _key(depth: int, kind: str) -> Row:
    layout, _, module = kind.partition("_")
    return {"network": f"ResNet-{depth}", "source": layout, "module": module or "none"}


def _measured(flags: FlagValues, depth: int, kind: str) -> Row:
    """What one network and the one that its weights were loaded into have in common."""
    import numpy as np

    if kind == APPLICATIONS:
        model, expected, exact = _keras_applications(flags, depth)
    else:
        model, expected, exact = _torch(flags, depth, kind)
    got = model.predict(_images(flags), verbose=0)
    return {
        "parameters": model.count_params(),
        "largest_logit": f"{np.abs(expected).max():.3g}",
        "difference": f"{np.abs(got - expected).max() / np.abs(expected).max():.1e}",
        "back": {True: "yes", False: "no", None: "–"}[exact],
    }


def _torch(flags: FlagValues, depth: int, kind: str):
    """A network with the weights of PyTorch's, the logits of that, whether they come back."""
    import numpy as np
    import torch

    from srm_keras import models
    from srm_keras.interop import from_torch_state_dict, to_torch_state_dict
    from srm_keras.interop.pytorch import describe
    from tests.support.torch_resnet import torch_resnet

    network = torch_resnet(depth, kind, classes=1000, image_size=flags.image_size)
    state = network.state_dict()
    found = describe(state)
    model = models.build(
        f"resnet{depth}",
        recalibration=found.recalibration,
        input_shape=(flags.image_size, flags.image_size, 3),
        classifier_activation=None,
    )
    from_torch_state_dict(model, state)
    with torch.no_grad():
        expected = network(torch.tensor(np.moveaxis(_images(flags), -1, 1).copy())).numpy()
    back = to_torch_state_dict(model, found.layout)
    exact = back.keys() == state.keys()
    return model, expected, exact and all(torch.equal(back[name], state[name]) for name in state)


def _keras_applications(flags: FlagValues, depth: int):
    """The same of a network of keras.applications, whose weights do not go back."""
    import keras

    from srm_keras.interop import from_keras_applications

    source = getattr(keras.applications, f"ResNet{depth}")(
        weights=None,
        input_shape=(flags.image_size, flags.image_size, 3),
        classifier_activation=None,
    )
    random_statistics(source, scale=(0.3, 0.9), biases=True)
    model = from_keras_applications(source, classifier_activation=None)
    return model, source.predict(_images(flags), verbose=0), None


def _images(flags: FlagValues):
    """Random images that differ in brightness and contrast, so that their logits do."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.normal(size=(flags.images, flags.image_size, flags.image_size, 3))
    spread = np.linspace(0.5, 2.0, flags.images)[:, None, None, None]
    return (spread * images + rng.normal(size=(flags.images, 1, 1, 3))).astype("float32")


def _page(study: dict[str, Any]) -> str:
    rows, settings = study["rows"], study["settings"]
    header = [name.replace("_", " ") for name in rows[0]]
    return PAGE.format(
        images=settings["images"],
        size=settings["image_size"],
        bound=BOUND,
        versions=versions_text(study["environment"]["packages"]),
        table=markdown_table(header, [[str(value) for value in row.values()] for row in rows]),
    )


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.conversion_parity"))
