"""What saved weights score on the splits of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.files import write_csv
from srm_keras.training.inputs import Examples, Inputs

TINY = 1e-7  # probabilities below it count as it, as in `keras.losses`


@dataclass(frozen=True)
class Predictions:
    """What a network says of the examples of a split.

    Attributes:
        examples: The N examples.
        probabilities: (N, classes) float32.
    """

    examples: Examples
    probabilities: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """(N,) the class with the highest probability."""
        return self.probabilities.argmax(axis=-1)

    def scores(self) -> dict[str, Any]:
        """Accuracy and mean cross-entropy, and both numbers of examples and accuracy by domain."""
        labels = self.examples.labels
        right = self.classes == labels
        of_label = self.probabilities[np.arange(len(labels)), labels].astype("float64")
        scored: dict[str, Any] = {
            "accuracy": float(right.mean()),
            "loss": float(-np.log(np.maximum(of_label, TINY)).mean()),
        }
        if self.examples.domains is not None:
            scored["domains"] = by_domain(right, self.examples.domains)
        return scored

    def save(self, path: Path) -> None:
        """Writes a CSV: `label, predicted`, and `domain` and `group` where there are any."""
        columns = {"label": self.examples.labels, "predicted": self.classes}
        for name, values in (("domain", self.examples.domains), ("group", self.examples.groups)):
            if values is not None:
                columns[name] = values
        rows = zip(*columns.values(), strict=True)
        write_csv(path, [dict(zip(columns, row, strict=True)) for row in rows])


def predict(path: Path, inputs: Inputs) -> dict[str, Predictions]:
    """Loads a saved network and applies it, on one device, to every evaluated split."""
    model = keras.saving.load_model(path)
    return {
        split: Predictions(examples, model.predict(inputs.evaluation(split), verbose=0))
        for split, examples in inputs.evals.items()
    }


def by_domain(right: np.ndarray, domains: np.ndarray) -> dict[str, Mapping[str, float]]:
    """Accuracy and number of examples of each domain, in alphabetical order.

    Args:
        right: (N,) booleans, whether each example was classified rightly.
        domains: (N,) strings.
    """
    return {
        str(domain): {
            "accuracy": float(right[domains == domain].mean()),
            "examples": int((domains == domain).sum()),
        }
        for domain in np.unique(domains)
    }
