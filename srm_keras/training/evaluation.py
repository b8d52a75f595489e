"""What saved weights score on the splits of a run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from srm_keras.models.head import logits
from srm_keras.support.files import write_csv
from srm_keras.training.confusion import NO_ANSWER, by_class, confusion_matrix
from srm_keras.training.inputs import Examples, Inputs

TOP = 5
"""Where there are more classes, it is counted too how often the true one is among so many."""


def label_ranks(labels: Any, scores: Any) -> Any:
    """The place of each label when its example's classes are sorted by score, the highest first.

    Of equal scores the one of the lower class number comes first, as in ``argmax``: an example is
    right if and only if its rank is 1, and five classes, no more, have ranks up to 5. An example
    that has a NaN among its scores has no answer: its rank is the number of classes + 1.

    Args:
        labels: (B,) integers, a tensor of any backend or an array.
        scores: (B, classes), likewise.

    Returns:
        int32 (B,), a tensor of the backend.
    """
    scores = ops.convert_to_tensor(scores)
    classes = scores.shape[-1]
    number = ops.cast(ops.expand_dims(labels, -1), "int32")
    own = ops.take_along_axis(scores, number, axis=-1)
    equal_before = ops.logical_and(scores == own, ops.arange(classes, dtype="int32") < number)
    before = ops.sum(ops.cast(ops.logical_or(scores > own, equal_before), "int32"), axis=-1)
    has_nan = ops.any(ops.isnan(scores), axis=-1)
    return ops.where(has_nan, classes + 1, before + 1)


def _in_top(labels: Any, scores: Any, one_hot: bool) -> Any:
    labels = ops.argmax(labels, axis=-1) if one_hot else labels
    return ops.cast(label_ranks(labels, scores) <= TOP, "float32")


def top5_accuracy(one_hot: bool) -> keras.metrics.Metric:
    """How often the label is among the five classes with the highest scores: see ``label_ranks``.

    Keras' own counts all classes that tie with the fifth: a network that says the same of every
    class would have an accuracy of 1.

    Args:
        one_hot: Whether labels are (B, classes) probabilities, of which the highest counts, instead
            of (B,) class numbers.
    """
    return keras.metrics.MeanMetricWrapper(_in_top, name="top5_accuracy", one_hot=one_hot)


@dataclass(frozen=True)
class Predictions:
    """What a network says of the examples of a split, N of them.

    Attributes:
        examples: The examples.
        classes: int64 (N,), the class with the highest score (of equal ones the first), or
            ``NO_ANSWER`` where a score is NaN.
        ranks: int64 (N,), the place of the label among the classes: see ``label_ranks``.
        losses: float64 (N,), the cross-entropies.
        confidences: float64 (N,), the probability of the predicted class; NaN where there is none.
    """

    examples: Examples
    classes: np.ndarray
    ranks: np.ndarray
    losses: np.ndarray
    confidences: np.ndarray

    @classmethod
    def of(cls, examples: Examples, batches: Iterable[np.ndarray]) -> "Predictions":
        """Reads what a network says, batch by batch, and keeps four numbers an example.

        Args:
            examples: The examples.
            batches: Logits (B, classes) of all of them in their order, each once.

        Raises:
            ValueError: If there are more or fewer logits than examples.
        """
        parts, begin = [], 0
        for batch in batches:
            end = begin + len(batch)
            labels = examples.labels[begin:end]
            if len(labels) == len(batch):
                parts.append(_read(labels, np.asarray(batch)))
            begin = end
        if begin != len(examples):
            raise ValueError(
                f"`batches` must hold each of {len(examples)} examples once. Received: {begin}"
            )
        return cls(examples, *map(np.concatenate, zip(*parts, strict=True)))

    @property
    def right(self) -> np.ndarray:
        """(N,) whether each example was classified rightly."""
        return self.ranks == 1

    @cached_property
    def confusion(self) -> np.ndarray:
        """Which classes were taken for which: see ``confusion_matrix``."""
        return confusion_matrix(self.examples.labels, self.classes, self.examples.info.num_classes)

    def accuracies(self, chosen: Any = slice(None)) -> dict[str, float]:
        """``accuracy`` and, of more than five classes, ``top5_accuracy`` of chosen examples."""
        ranks = self.ranks[chosen]
        found = {"accuracy": float((ranks == 1).mean())}
        if self.examples.info.num_classes > TOP:
            found["top5_accuracy"] = float((ranks <= TOP).mean())
        return found

    def scores(self) -> dict[str, Any]:
        """Accuracies and mean cross-entropy, and accuracies by class and by domain.

        All of them count each example once. A class without examples has the accuracy None.
        """
        info, domains = self.examples.info, self.examples.domains
        found: dict[str, Any] = self.accuracies() | {"loss": float(self.losses.mean())}
        if domains is not None:
            found["domains"] = {
                str(domain): self.accuracies(domains == domain)
                | {"examples": int((domains == domain).sum())}
                for domain in np.unique(domains)
            }
        return found | {"classes": by_class(self.confusion, info.class_names)}

    def save(self, path: Path) -> None:
        """Writes a CSV: ``label, predicted``, and what there is of ``rank, domain, group``.

        There are ranks where there are more than five classes.
        """
        more = {
            "rank": self.ranks if self.examples.info.num_classes > TOP else None,
            "domain": self.examples.domains,
            "group": self.examples.groups,
        }
        columns = {"label": self.examples.labels, "predicted": self.classes}
        columns |= {name: values for name, values in more.items() if values is not None}
        rows = zip(*columns.values(), strict=True)
        write_csv(path, [dict(zip(columns, row, strict=True)) for row in rows])


def _read(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, ...]:
    """Predicted classes, ranks of the labels, cross-entropies, probabilities; (B,) each."""
    predicted = np.where(np.isnan(scores).any(axis=-1), NO_ANSWER, scores.argmax(axis=-1))
    ranks = ops.convert_to_numpy(label_ranks(labels, scores)).astype("int64")
    below = scores.astype("float64") - scores.max(axis=-1, keepdims=True)
    total = np.log(np.exp(below).sum(axis=-1))
    return predicted, ranks, total - below[np.arange(len(labels)), labels], np.exp(-total)


def predict(path: Path, inputs: Inputs) -> dict[str, Predictions]:
    """Loads a saved network and applies it, on one device and once, to every evaluated split."""
    model = keras.saving.load_model(path)
    network = keras.Model(model.input, logits(model))
    return {
        split: Predictions.of(
            examples,
            (network.predict_on_batch(images) for images, _ in inputs.evaluation(split)),
        )
        for split, examples in inputs.evals.items()
    }


def mean_over_domains(result: Mapping[str, Any], name: str = "accuracy") -> float | None:
    """The unweighted mean of the domains' accuracies, as in the paper's table 4.

    Args:
        result: What ``Predictions.scores`` returned of a split.
        name: Which accuracy.

    Returns:
        None where there are no domains, or it was not measured.
    """
    values = [domain.get(name) for domain in result.get("domains", {}).values()]
    return float(np.mean(values)) if values and None not in values else None
