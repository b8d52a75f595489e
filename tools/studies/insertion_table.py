"""Inserts modules into every classification network of keras.applications.

    python -m tools.studies.insertion_table --out=docs/results
    python -m tools.studies.insertion_table --out=runs/insertion --models=VGG16 --module=se

Where the modules go, the parameters before and after, and the largest difference of the outputs
before any training (neutral start). Writes insertion.json, insertion.csv and insertion.md to --out
after each network. A table that was interrupted goes on where it was. Networks are built without
pretrained weights; the largest take 4 GB of memory. Exits with 1 if a difference is above 1e-5 of
the largest output.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run
from srm_keras.layers import Recalibration
from srm_keras.models.applications import application, application_names
from srm_keras.models.surgery.insertion import insert_recalibration
from srm_keras.support.tables import markdown_table
from srm_keras.support.validation import one_of
from tools.studies.results import Results, Row, random_statistics

SIDES = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}
"""The smallest images that a network takes, where it is not 32 pixels."""
SIDE = 32
CLASSES = 10
IMAGES = 2


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_string(
        "out", None, "Folder for insertion.json, insertion.csv and insertion.md.", flag_values=flags
    )
    absl_flags.DEFINE_list(
        "models", None, "Names in keras.applications; by default all.", flag_values=flags
    )
    absl_flags.DEFINE_string(
        "module", "srm", "Name of a module, such as srm or se.", flag_values=flags
    )


def random_network(name: str) -> keras.Model:
    """Build a network of ``keras.applications`` with ten logits for its smallest images.

    Weights are random, and so are the statistics and scales of its normalizations, of which the
    new ones (zeros, ones, ConvNeXt's 1e-6) would hide differences.
    """
    side = SIDES.get(name, SIDE)
    model = application(name)(
        weights=None, classes=CLASSES, input_shape=(side, side, 3), classifier_activation=None
    )
    random_statistics(model)
    return model


def insertion_row(name: str, spec: Any = "srm") -> dict[str, Any]:
    """Insert neutral modules at the ends of the blocks of one network, and compare the logits.

    Returns:
        ``model``, ``side`` of the images, ``modules``, ``first`` and ``last`` layer with a module,
        trainable ``parameters`` and ``parameters_after``, ``largest_logit``, ``difference`` (the
        largest, of any logit) and ``relative_difference`` to the largest logit.
    """
    model = random_network(one_of("name", name, application_names()))
    result = insert_recalibration(model, spec, neutral=True)
    modules = [layer.name for layer in result.layers if isinstance(layer, Recalibration)]
    shape = (IMAGES, *model.input_shape[1:])
    images = np.random.default_rng(1).uniform(0.0, 255.0, shape).astype("float32")
    before, after = (_logits(network, images) for network in (model, result))
    difference, largest = float(np.abs(after - before).max()), float(np.abs(before).max())
    return {
        "model": name,
        "side": shape[1],
        "modules": len(modules),
        "first": modules[0].removesuffix("_recalibration"),
        "last": modules[-1].removesuffix("_recalibration"),
        "parameters": _trainable(model),
        "parameters_after": _trainable(result),
        "largest_logit": largest,
        "difference": difference,
        "relative_difference": difference / largest,
    }


def insertion_table(
    folder: Path, names: Sequence[str] = (), spec: str = "srm"
) -> Iterator[dict[str, Any]]:
    """Yield a row for each network, and write insertion.csv, .json and .md after each of them.

    Networks of which ``folder`` has a row are not built again.

    Args:
        folder: For the files.
        names: Of networks; by default all of ``application_names()``.
        spec: Name of the module.

    Raises:
        ValueError: An unknown name, or a table of another module in ``folder``; at once.
    """
    names = [one_of("names", name, application_names()) for name in names] or application_names()
    head = {"module": spec, "keras": keras.version()}
    results = Results(
        folder, "insertion", "insertion table", head, ("model",), _page, in_order=True
    )

    def measure(key: Row) -> Row:
        keras.backend.clear_session()
        return insertion_row(key["model"], spec)

    return results.completed([{"model": name} for name in names], measure)


def _page(study: dict[str, Any]) -> str:
    return insertion_text(study["rows"], study["module"])


def insertion_text(rows: Sequence[dict[str, Any]], spec: str) -> str:
    """Return the table as a Markdown page."""
    header = ["network", "pixels", "modules", "first, last", "parameters", "with modules", "diff."]
    lines = [
        [
            row["model"],
            str(row["side"]),
            str(row["modules"]),
            f"`{row['first']}`, `{row['last']}`",
            f"{row['parameters']:,}",
            f"{row['parameters_after']:,}",
            f"{row['relative_difference']:.1g}",
        ]
        for row in rows
    ]
    return (
        f"# Modules in the networks of keras.applications: {spec}\n\n"
        f"`insert_recalibration(network, {spec!r}, neutral=True)` on networks with {CLASSES} "
        "logits and random weights and statistics. Parameters are trainable ones. The last column "
        f"is the largest difference of a logit on {IMAGES} random images before any training, "
        "over the largest logit.\n\n"
        f"{markdown_table(header, lines)}\n\n"
        f"Keras {keras.version()}, `python -m tools.studies.insertion_table`.\n"
    )


def _logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)), "float64")


def _trainable(model: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


BOUND = 1e-5


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Make the table that the flags ask for."""
    changed = _table(flags, arguments)
    if changed:
        sys.exit(f"error: the outputs of {', '.join(changed)} are not what they were.")


def _table(flags: FlagValues, arguments: Sequence[str]) -> list[str]:
    shared.check(flags, arguments, "out")
    from srm_keras.layers import list_recalibrations
    from srm_keras.support.files import writable_file
    from srm_keras.support.validation import one_of

    one_of("--module", flags.module, list_recalibrations())
    folder = writable_file("--out", Path(flags.out, "insertion.json")).parent
    changed = []
    for row in insertion_table(folder, flags.models or (), flags.module):
        print(
            f"{row['model']}: {row['modules']} modules, {row['parameters']:,} -> "
            f"{row['parameters_after']:,} parameters, difference {row['relative_difference']:.1g}",
            flush=True,
        )
        if not row["relative_difference"] <= BOUND:
            changed.append(row["model"])
    print(f"Wrote insertion.json, insertion.csv and insertion.md to {folder}")
    return changed


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.insertion_table"))
