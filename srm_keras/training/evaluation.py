"""What saved weights score on the splits of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from srm_keras.models.head import logits
from srm_keras.support.files import write_csv
from srm_keras.training.inputs import Examples, Inputs


@dataclass(frozen=True)
class Predictions:
    """What a network says of the examples of a split.

    Attributes:
        examples: The N examples.
        logits: (N, classes), any floating dtype; their softmax is what it says.
    """

    examples: Examples
    logits: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """(N,) the class with the highest logit."""
        return self.logits.argmax(axis=-1)

    @property
    def probabilities(self) -> np.ndarray:
        """(N, classes) float64: the softmax of the logits."""
        return np.exp(self._log_probabilities)

    @property
    def _log_probabilities(self) -> np.ndarray:
        below = self.logits.astype("float64") - self.logits.max(axis=-1, keepdims=True)
        return below - np.log(np.exp(below).sum(axis=-1, keepdims=True))

    def scores(self) -> dict[str, Any]:
        """Accuracy and mean cross-entropy, and both numbers of examples and accuracy by domain."""
        labels = self.examples.labels
        right = self.classes == labels
        losses = -self._log_probabilities[np.arange(len(labels)), labels]
        scored: dict[str, Any] = {"accuracy": float(right.mean()), "loss": float(losses.mean())}
        if self.examples.domains is not None:
            scored["domains"] = by_domain(right, self.examples.domains)
        return scored

    def save(self, path: Path) -> None:
        """Writes a CSV: ``label, predicted``, and ``domain`` and ``group`` where there are any."""
        columns = {"label": self.examples.labels, "predicted": self.classes}
        for name, values in (("domain", self.examples.domains), ("group", self.examples.groups)):
            if values is not None:
                columns[name] = values
        rows = zip(*columns.values(), strict=True)
        write_csv(path, [dict(zip(columns, row, strict=True)) for row in rows])


def predict(path: Path, inputs: Inputs) -> dict[str, Predictions]:
    """Loads a saved network and applies it, on one device, to every evaluated split."""
    model = keras.saving.load_model(path)
    network = keras.Model(model.inputs, logits(model))
    return {
        split: Predictions(examples, network.predict(inputs.evaluation(split), verbose=0))
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
