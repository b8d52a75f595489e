r"""Compares converted networks with the originals on the same images, for docs/weights.md.

    python -m tools.conversion_parity --out=docs/results
    python -m tools.conversion_parity --out=runs/parity --depths=18 --image_size=64

PyTorch networks of every layout and module, with random weights and batch norm statistics, are
loaded, compared and written back; those of keras.applications are loaded and compared. Writes
conversion.csv and conversion.md to --out after each network. Exits with 1 if the logits of one
differ by more than 1e-4 of the largest, or its weights do not come back to the bit. Needs PyTorch;
takes about a minute a network on 2 cores.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tools.command_line import check_flags, start

OUT = flags.DEFINE_string("out", None, "Folder for conversion.csv and conversion.md.")
DEPTHS = flags.DEFINE_list("depths", ["18", "50", "101"], "Of: 18, 34, 50, 101, 152.")
IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Side of the images.", lower_bound=32)
IMAGES = flags.DEFINE_integer("images", 4, "Number of images.", lower_bound=2)

BOUND = 1e-4
PAGE = """# Conversion parity

Logits of a network in PyTorch (or of keras.applications) and of the one here that its weights were
loaded into: the largest difference over the largest logit, {images} images of {size}×{size}, 1000
classes. Weights and batch norm statistics are random. "Back" says whether `to_torch_state_dict`
gives every array back to the bit. Parameters include the moving averages. Bound: {bound:.0e}.

Command: `python -m tools.conversion_parity --out=docs/results`. {versions}, CPU.

{table}
"""


def main(argv: Sequence[str]) -> None:
    """Compare the networks that the flags name."""
    failed = _compare(argv)
    if failed:
        sys.exit(f"error: {failed} networks are out of the bound; conversion.csv says which.")


def _compare(argv: Sequence[str]) -> int:
    check_flags(argv, OUT)
    from srm_keras.files import writable_file
    from srm_keras.validation import one_of
    from tools import torch_resnet

    for depth in DEPTHS.value:
        one_of("depths", depth, [str(depth) for depth in torch_resnet.DEPTHS])
    folder = writable_file("out", Path(OUT.value) / "conversion.csv").parent
    depths = [int(depth) for depth in DEPTHS.value]
    cells = [(depth, kind) for depth in depths for kind in torch_resnet.KINDS]
    cells += [(depth, "keras.applications") for depth in depths if depth >= 50]
    rows: list[dict] = []
    for depth, kind in cells:
        measure = _keras_applications if kind == "keras.applications" else _torch
        rows.append(measure(depth, kind))
        _write(folder, rows)
        print(f"{len(rows)}/{len(cells)} " + ", ".join(map(str, rows[-1].values())), flush=True)
    return sum(float(row["difference"]) > BOUND or row["back"] == "no" for row in rows)


def _torch(depth: int, kind: str) -> dict:
    import numpy as np
    import torch

    from srm_keras import models
    from srm_keras.interop import from_torch_state_dict, to_torch_state_dict
    from srm_keras.interop.pytorch import describe
    from tools.torch_resnet import torch_resnet

    network = torch_resnet(depth, kind, classes=1000, image_size=IMAGE_SIZE.value)
    state = network.state_dict()
    found = describe(state)
    model = models.build(
        f"resnet{depth}",
        recalibration=found.recalibration,
        input_shape=(IMAGE_SIZE.value, IMAGE_SIZE.value, 3),
        classifier_activation=None,
    )
    from_torch_state_dict(model, state)
    images = _images()
    with torch.no_grad():
        expected = network(torch.tensor(np.moveaxis(images, -1, 1).copy())).numpy()
    back = to_torch_state_dict(model, found.layout)
    exact = all(torch.equal(back[name], value) for name, value in state.items())
    exact = exact and back.keys() == state.keys()
    return _row(depth, kind, model, model.predict(images, verbose=0), expected, exact)


def _keras_applications(depth: int, kind: str) -> dict:
    import keras

    from srm_keras.interop import from_keras_applications

    source = getattr(keras.applications, f"ResNet{depth}")(
        weights=None,
        input_shape=(IMAGE_SIZE.value, IMAGE_SIZE.value, 3),
        classifier_activation=None,
    )
    _randomize(source)
    model = from_keras_applications(source, classifier_activation=None)
    images = _images()
    expected = source.predict(images, verbose=0)
    return _row(depth, kind, model, model.predict(images, verbose=0), expected, None)


def _images():
    """Random images that differ in brightness and contrast, so that their logits do."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.normal(size=(IMAGES.value, IMAGE_SIZE.value, IMAGE_SIZE.value, 3))
    spread = np.linspace(0.5, 2.0, IMAGES.value)[:, None, None, None]
    return (spread * images + rng.normal(size=(IMAGES.value, 1, 1, 3))).astype("float32")


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


def _write(folder: Path, rows: Sequence[dict]) -> None:
    import importlib.metadata

    from srm_keras.files import write_csv, write_text
    from srm_keras.tables import markdown_table

    write_csv(folder / "conversion.csv", rows)
    header = [name.replace("_", " ") for name in rows[0]]
    table = markdown_table(header, [[str(value) for value in row.values()] for row in rows])
    packages = ("srm-keras", "keras", "tensorflow", "torch", "numpy")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    page = PAGE.format(
        images=IMAGES.value,
        size=IMAGE_SIZE.value,
        bound=BOUND,
        versions=versions,
        table=table,
    )
    write_text(folder / "conversion.md", page)


if __name__ == "__main__":
    start(main)
