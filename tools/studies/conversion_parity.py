r"""Compares converted networks with the originals on the same images, for docs/weights.md.

    python -m tools.studies.conversion_parity --out=docs/results
    python -m tools.studies.conversion_parity --out=runs/parity --depths=18 --image_size=64

PyTorch networks of every layout and module, with random weights and batch norm statistics, are
loaded, compared and written back; those of keras.applications are loaded and compared. Writes
conversion.csv and conversion.md to --out after each network. Exits with 1 if the logits of one
differ by more than 1e-4 of the largest, or its weights do not come back to the bit. Needs PyTorch;
takes about a minute a network on 2 cores.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run

BOUND = 1e-4
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
        "out", None, "Folder for conversion.csv and conversion.md.", flag_values=flags
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
    from srm_keras.support.files import writable_file
    from srm_keras.support.validation import one_of
    from tests.support import torch_resnet

    for depth in flags.depths:
        one_of("depths", depth, [str(depth) for depth in torch_resnet.DEPTHS])
    folder = writable_file("out", Path(flags.out) / "conversion.csv").parent
    depths = [int(depth) for depth in flags.depths]
    cells = [(depth, kind) for depth in depths for kind in torch_resnet.KINDS]
    cells += [(depth, "keras.applications") for depth in depths if depth >= 50]
    rows: list[dict] = []
    for depth, kind in cells:
        measure = _keras_applications if kind == "keras.applications" else _torch
        rows.append(measure(depth, kind))
        _write(flags, folder, rows)
        print(f"{len(rows)}/{len(cells)} " + ", ".join(map(str, rows[-1].values())), flush=True)
    return sum(float(row["difference"]) > BOUND or row["back"] == "no" for row in rows)


def _torch(flags: FlagValues, depth: int, kind: str) -> dict:
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
    images = _images(flags)
    with torch.no_grad():
        expected = network(torch.tensor(np.moveaxis(images, -1, 1).copy())).numpy()
    back = to_torch_state_dict(model, found.layout)
    exact = all(torch.equal(back[name], value) for name, value in state.items())
    exact = exact and back.keys() == state.keys()
    return _row(depth, kind, model, model.predict(images, verbose=0), expected, exact)


def _keras_applications(flags: FlagValues, depth: int, kind: str) -> dict:
    import keras

    from srm_keras.interop import from_keras_applications

    source = getattr(keras.applications, f"ResNet{depth}")(
        weights=None,
        input_shape=(flags.image_size, flags.image_size, 3),
        classifier_activation=None,
    )
    _randomize(source)
    model = from_keras_applications(source, classifier_activation=None)
    images = _images(flags)
    expected = source.predict(images, verbose=0)
    return _row(depth, kind, model, model.predict(images, verbose=0), expected, None)


def _images(flags: FlagValues):
    """Random images that differ in brightness and contrast, so that their logits do."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.normal(size=(flags.images, flags.image_size, flags.image_size, 3))
    spread = np.linspace(0.5, 2.0, flags.images)[:, None, None, None]
    return (spread * images + rng.normal(size=(flags.images, 1, 1, 3))).astype("float32")


def _randomize(model) -> None:
    """Random biases and batch norms; kernels are random as built."""
    import numpy as np

    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.3, 0.9, variable.shape))
        elif variable.name in ("beta", "bias", "moving_mean"):
            variable.assign(rng.normal(0, 0.2, variable.shape))


def _row(depth: int, kind: str, model, got, expected, exact: bool | None) -> dict:
    import numpy as np

    layout, _, module = kind.partition("_")
    return {
        "network": f"ResNet-{depth}",
        "source": layout,
        "module": module or "none",
        "parameters": model.count_params(),
        "largest_logit": f"{np.abs(expected).max():.3g}",
        "difference": f"{np.abs(got - expected).max() / np.abs(expected).max():.1e}",
        "back": {True: "yes", False: "no", None: "–"}[exact],
    }


def _write(flags: FlagValues, folder: Path, rows: Sequence[dict]) -> None:
    import importlib.metadata

    from srm_keras.support.files import write_csv, write_text
    from srm_keras.support.tables import markdown_table

    write_csv(folder / "conversion.csv", rows)
    header = [name.replace("_", " ") for name in rows[0]]
    table = markdown_table(header, [[str(value) for value in row.values()] for row in rows])
    packages = ("srm-keras", "keras", "tensorflow", "torch", "numpy")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    page = PAGE.format(
        images=flags.images,
        size=flags.image_size,
        bound=BOUND,
        versions=versions,
        table=table,
    )
    write_text(folder / "conversion.md", page)


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.conversion_parity"))
