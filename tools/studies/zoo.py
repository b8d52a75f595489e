"""Trains the small networks that come with the package, and writes the page on them.

    python -m tools.studies.zoo --workdir=runs/zoo --page=docs/zoo.md
    python -m tools.studies.zoo --workdir=runs/zoo --data=fashion_mnist --modules=none,srm

A ResNet-8 with each module and without, trained by the recipes ``texture_shapes`` and
``fashion_mnist`` (in the latter as a ResNet-8, 1,500 updates), seed 0. Weights are rounded to 11
significant bits, as many as float16 has, so that a file takes half its size compressed; what its
card says was measured on the rounded network. A network of which the package has weights is not
trained again; delete its file to do so. A training that was interrupted goes on. 3 minutes of one
core each.
"""

import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import flags as absl_flags
from absl.flags import FlagValues
from ml_collections import ConfigDict

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run
from srm_keras.interop import save_preset
from srm_keras.interop.presets import read_card
from srm_keras.interop.trained import ZOO
from srm_keras.layers import list_recalibrations
from srm_keras.models import catalog
from srm_keras.recipes import fashion_mnist, texture_shapes
from srm_keras.support.files import write_text
from srm_keras.support.tables import markdown_table
from srm_keras.support.validation import one_of
from srm_keras.training import load_run, train, with_steps
from srm_keras.training.evaluation import predict
from srm_keras.training.inputs import load_inputs
from srm_keras.training.reports import card_facts
from tools.studies.results import versions_text

PLAIN = "none"
NETWORK = "cifar_resnet8_basic"
SIGNIFICANT_BITS = 11
LICENSES = {"texture_shapes": "apache-2.0", "fashion_mnist": "mit"}


def recipe_of(data: str, module: str) -> ConfigDict:
    """The recipe by which the network with this module is trained."""
    if data == "texture_shapes":
        recipe = texture_shapes.get_config()
    else:
        recipe = with_steps(fashion_mnist.get_config(), 1500)
        recipe.eval_every = 500
        recipe.model.options.depth = 8
    recipe.recalibration = None if module == PLAIN else module
    return recipe


def name_of(data: str, module: str) -> str:
    """The name under which the package has the weights, ``srm_cifar_resnet8_basic.DATA``."""
    return f"{catalog.name_of(NETWORK, recalibration=module)}.{data}"


def rounded(weights: np.ndarray) -> np.ndarray:
    """Return the nearest float32 numbers with 11 significant bits."""
    mantissas, exponents = np.frexp(weights.astype("float64"))
    return np.ldexp(np.round(np.ldexp(mantissas, SIGNIFICANT_BITS)), exponents - SIGNIFICANT_BITS)


def make_preset(data: str, module: str, workdir: Path, path: Path) -> dict[str, Any]:
    """Train a network, round its weights and save it; return its scores by split."""
    recipe = recipe_of(data, module)
    train(recipe, workdir)
    trained = load_run(workdir, "last")
    trained.model.set_weights([rounded(weight) for weight in trained.model.get_weights()])
    stored = workdir / "rounded.keras"
    trained.model.save(stored)
    predicted = predict(stored, load_inputs(trained.recipe))
    scores = {split: found.scores() for split, found in predicted.items()}
    card = card_of(data, module, trained.model, trained.recipe.to_dict(), scores)
    save_preset(trained.model, path, trained.preprocessing, trained.classes, card)
    return card["metrics"]


def card_of(
    data: str,
    module: str,
    model: keras.Model,
    recipe: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The card of a network with this module: see ``card_facts`` for what it is made of."""
    return {
        "name": name_of(data, module),
        "description": "A small network to try things with; its weights have 11 significant bits.",
        "license": LICENSES[data],
        **card_facts(model, recipe, scores),
    }


PAGE = """\
# Trained networks in the package

A ResNet-8 of basic blocks with each module and without, trained on the images that the package
draws (`texture_shapes`, 32×32, ten shapes) and on Fashion-MNIST (28×28, grey, ten kinds of
clothes). They are there to try predictions, exports and analyses with in seconds, without data,
and too small and too few (one seed each) to say which module is the better one.

```python
import srm_keras

model = srm_keras.models.build("srm_cifar_resnet8_basic", weights="texture_shapes")
```

```bash
srm-keras models '*texture_shapes'
srm-keras complexity --model=srm_cifar_resnet8_basic.texture_shapes
```

{tables}

Accuracies are those of the files as they are here, whose weights have {bits} significant bits, on
all images of the split. {size:.1f} MB together. Each file is a preset with its recipe, seed, data
and versions in its card. Modules start neutral, as these recipes have it.

Recipes: `--config=texture_shapes --config.recalibration=MODULE`, and `--config=fashion_mnist
--steps=1500 --config.eval_every=500 --config.model.options.depth=8 --config.recalibration=MODULE`.
Made by `python -m tools.studies.zoo --workdir=runs/zoo --page=docs/zoo.md`; {packages}.
"""


def page(folder: Path) -> str:
    """Return the Markdown page of the presets in ``folder``."""
    files = sorted(folder.glob("*.zip"))
    cards = {path.stem: read_card(path) for path in files}
    tables = []
    for data in LICENSES:
        chosen = {name: card for name, card in cards.items() if name.endswith(f".{data}")}
        if chosen:
            tables.append(f"## {data}\n\n{_table(chosen)}")
    used = {versions_text(card["versions"]) for card in cards.values()}
    return PAGE.format(
        tables="\n\n".join(tables),
        bits=SIGNIFICANT_BITS,
        size=sum(path.stat().st_size for path in files) / 1e6,
        packages="; ".join(sorted(used)),
    )


def _table(cards: Mapping[str, Mapping[str, Any]]) -> str:
    splits = list(next(iter(cards.values()))["metrics"])
    scored = [(split, score) for split in splits for score in ("accuracy", "top5_accuracy")]
    heads = [f"{split}, {'top-1' if score == 'accuracy' else 'top-5'}" for split, score in scored]
    rows = [
        [
            f"`{name}`",
            f"{card['network']['trainable_parameters']:,}",
            f"{card['multiply_adds']:,}",
            *(f"{card['metrics'][split][score]:.4f}" for split, score in scored),
        ]
        for name, card in cards.items()
    ]
    return markdown_table(["weights", "parameters", "multiply-adds", *heads], rows)


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.workdir(flags)
    shared.out(flags, str(ZOO), "Folder for the presets.")
    absl_flags.DEFINE_list("data", list(LICENSES), "What to train on.", flag_values=flags)
    absl_flags.DEFINE_list(
        "modules", [], "Names of modules, or none; by default all.", flag_values=flags
    )
    absl_flags.DEFINE_string("page", None, "File for the page on them.", flag_values=flags)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Train what is not there."""
    shared.check(flags, arguments, "workdir", "out")
    data = [one_of("--data", name, list(LICENSES)) for name in flags.data]
    known = [PLAIN, *list_recalibrations()]
    modules = [one_of("--modules", name, known) for name in flags.modules] or known
    Path(flags.out).mkdir(parents=True, exist_ok=True)
    for one, module in itertools.product(data, modules):
        path = Path(flags.out, f"{name_of(one, module)}.zip")
        if path.exists():
            print(f"{path} is there")
            continue
        keras.backend.clear_session()
        scores = make_preset(one, module, Path(flags.workdir, path.stem), path)
        told = ", ".join(f"{split} {score['accuracy']:.4f}" for split, score in scores.items())
        print(f"{path}: {told}, {path.stat().st_size // 1024} KiB", flush=True)
    if flags.page is not None:
        write_text(Path(flags.page), page(Path(flags.out)))


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.zoo"))
