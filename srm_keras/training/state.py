"""All that the next update depends on, as arrays that can be written to a file and put back."""

from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np

from srm_keras.training.distribution import Distribution, assign_local, local_values

Arrays = dict[str, np.ndarray]


class TrainingState:
    """The variables of a compiled model: weights, random seeds, optimizer and metrics.

    The arrays are named `group/index/replica`. A variable whose replicas agree, which most do,
    gives one array; the moving averages of a batch norm that is not synchronized, and metrics,
    give one a replica.

    Args:
        learner: The compiled model, its optimizer built.
        metrics: The metrics it was compiled with. (`learner.metrics` lists them only once they
            have seen a batch.)
        distribution: What it is trained on. All workers hold the same model and optimizer; the
            metrics are each worker's own.
    """

    def __init__(
        self,
        learner: keras.Model,
        metrics: Sequence[keras.metrics.Metric],
        distribution: Distribution,
    ):
        self._learner = learner
        self._metrics = metrics
        self._distribution = distribution

    def layout(self) -> list[list]:
        """Name and shape of every variable of the model and the optimizer, to tell states apart."""
        return [
            [variable.name, list(variable.shape)]
            for group in ("model", "optimizer")
            for variable in self._variables(group)
        ]

    def read(self) -> Arrays:
        """Copies every variable to the host; all workers must ask at the same point."""
        arrays: Arrays = {}
        for group in ("model", "optimizer", "metrics"):
            for index, variable in enumerate(self._variables(group)):
                values = local_values(variable)
                if group == "metrics":
                    values = self._distribution.gather(values)
                for replica, value in enumerate(_distinct(values)):
                    arrays[f"{group}/{index}/{replica}"] = value
        return arrays

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Puts the model and the optimizer back as `read` found them."""
        for group in ("model", "optimizer"):
            self._write(group, arrays)

    def write_metrics(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Puts the running means back, within an epoch: `fit` resets them when one begins."""
        self._write("metrics", arrays)

    def _write(self, group: str, arrays: Mapping[str, np.ndarray]) -> None:
        for index, variable in enumerate(self._variables(group)):
            values = list(_replica_arrays(arrays, f"{group}/{index}"))
            if len(values) == 1:
                values *= len(local_values(variable))
            elif group == "metrics":
                values = self._distribution.local(values)
            assign_local(variable, values)

    def _variables(self, group: str) -> Sequence[keras.Variable]:
        return {
            "model": self._learner.variables,
            "optimizer": self._learner.optimizer.variables,
            "metrics": self._metric_variables(),
        }[group]

    def _metric_variables(self) -> list[keras.Variable]:
        variables = list(self._learner.metrics_variables)
        variables += [v for metric in self._metrics for v in metric.variables]
        return list({id(variable): variable for variable in variables}.values())


def not_finite(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a weight, a velocity or a running mean is NaN or infinite."""
    return not all(
        np.isfinite(array).all()
        for array in arrays.values()
        if np.issubdtype(array.dtype, np.floating)
    )


def _distinct(values: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """The first value alone if the replicas agree to the bit."""
    first = values[0].tobytes()
    return values[:1] if all(value.tobytes() == first for value in values[1:]) else values


def _replica_arrays(arrays: Mapping[str, np.ndarray], prefix: str) -> Iterator[np.ndarray]:
    replica = 0
    while f"{prefix}/{replica}" in arrays:
        yield arrays[f"{prefix}/{replica}"]
        replica += 1
