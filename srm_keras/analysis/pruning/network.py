"""A network of which every image has its own channels zeroed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from srm_keras.layers import Recalibration
from srm_keras.layers.conventions import channel_axis, over_space, spatial_axes
from srm_keras.models.surgery.functional import copied, first_input, inputs_of


class PrunedModule(keras.layers.Layer):
    """What ``module`` computes at inference, with the lowest channels of every image zeroed.

    Args:
        module: A built ``Recalibration`` layer, whose weights are shared, not copied.

    Input:
        The feature map; ``counts``, int32 (N, 1), how many channels of each image to zero; and
        perhaps ``ranks``, int32 (N, C), each channel's place in the order in which they go. By
        default they go in ascending order of their gates.

    Output shape:
        That of the feature map.
    """

    def __init__(self, module: Recalibration, **kwargs: Any):
        super().__init__(dtype=module.dtype_policy, **kwargs)
        self.module = module

    def call(self, inputs, counts, ranks=None):
        """``x · (gain · gates)``, zero where a channel is among the first ``counts`` to go."""
        gates = self.module.gates(inputs, training=False)
        if ranks is None:
            axes = spatial_axes(self.module.data_format)
            ranks = ascending_ranks(ops.mean(ops.cast(gates, "float32"), axis=axes))
        kept = over_space(ranks >= counts, self.module.data_format)
        product = self.module.recalibrate(inputs, gates)
        return ops.where(kept, product, ops.zeros_like(product))


def ascending_ranks(weights):
    """Return each channel's place in ascending order of ``weights`` (N, C): int32, from 0.

    Of equal weights the one of the lower channel comes first.
    """
    order = ops.argsort(weights, axis=-1)  # stable
    return ops.cast(ops.argsort(order, axis=-1), "int32")


@dataclass(frozen=True)
class PrunedNetwork:
    """A network in two parts: what pruning cannot change, and the rest.

    Attributes:
        fixed: Maps images to the tensors that no pruned module has a part in and that the rest
            reads.
        rest: Maps those tensors, ``counts`` of int32 (N, number of modules) and, for another order
            than that of the gates, ``ranks`` of int32 (N, sum of channels) to the output.
        channels: Of each module, by its name, in network order.
        by_gates: Whether ``rest`` takes no ``ranks``.
    """

    fixed: keras.Model
    rest: keras.Model
    channels: dict[str, int]
    by_gates: bool


def pruned_network(
    model: keras.Model, modules: Sequence[Recalibration], by_gates: bool = True
) -> PrunedNetwork:
    """Split ``model`` where pruning the given modules begins to matter, and let them be pruned.

    Everything shares the weights of ``model``, which is not changed.

    Args:
        model: A functional model that calls each of its layers once.
        modules: Recalibration layers of the model.
        by_gates: Whether channels go in ascending order of their gates; else by given ranks.

    Raises:
        ValueError: A layer of the model is called twice.
    """
    frontier = _frontier(model, modules)
    channels = {module.name: _channels(module) for module in modules}
    counts = keras.Input((len(channels),), dtype="int32", name="counts")
    extra = [counts]
    counted, ranked = _columns(counts, dict.fromkeys(channels, 1)), dict.fromkeys(channels)
    if not by_gates:
        extra.append(keras.Input((sum(channels.values()),), dtype="int32", name="ranks"))
        ranked = _columns(extra[-1], channels)

    def call(layer, *args, **kwargs):
        if layer.name not in channels:
            return layer(*args, **kwargs)
        pruned = PrunedModule(layer, name=f"{layer.name}_pruned")
        x = first_input(layer, args, kwargs)
        return pruned(x, counted[layer.name], ranked[layer.name])

    rest = keras.Model([*frontier, *extra], model.outputs)
    known = [keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in frontier]
    pruned = copied(rest, lambda layer: layer, call, [*known, *extra])
    fixed = keras.Model(inputs_of(model), frontier)
    return PrunedNetwork(_compiled(fixed), _compiled(pruned), channels, by_gates)


def _frontier(model: keras.Model, modules: Sequence[Recalibration]) -> list[Any]:
    """The tensors that do not depend on a module's product and are read where something does."""
    names = {module.name for module in modules}
    changed: set[int] = set()
    frontier: dict[int, Any] = {}
    for operation, inputs, outputs in _single_calls(model):
        unchanged = {id(tensor): tensor for tensor in inputs if id(tensor) not in changed}
        if operation.name in names or len(unchanged) < len({id(tensor) for tensor in inputs}):
            frontier |= unchanged
            changed |= {id(tensor) for tensor in outputs}
    return list(frontier.values())


def _single_calls(model: keras.Model) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """Yield each layer or operation with the tensors it takes and gives, inputs before outputs.

    Raises:
        ValueError: A layer is called twice: then ``layer.input`` and ``layer.output`` do not tell
            all of the graph.
    """
    known = {id(tensor) for tensor in model.inputs}
    sequential = isinstance(model, keras.Sequential)
    graph = keras.Model(model.inputs, model.outputs) if sequential else model
    for operation in graph.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        inputs, outputs = map(keras.tree.flatten, (operation.input, operation.output))
        _check_known(model, inputs, known)
        known |= {id(tensor) for tensor in outputs}
        yield operation, inputs, outputs
    _check_known(model, model.outputs, known)


def _check_known(model: keras.Model, tensors: Sequence[Any], known: set[int]) -> None:
    for tensor in tensors:
        if id(tensor) not in known:
            raise ValueError(
                "`model` must call each of its layers once, and before any other model does. "
                f"Received: {model.name!r}, in which a tensor {tensor.name!r} comes from a later "
                "call of a shared layer"
            )


def _channels(module: Recalibration) -> int:
    return module.input.shape[channel_axis(module.data_format)]


def _columns(tensor: Any, widths: dict[str, int]) -> dict[str, Any]:
    """Split the columns of a tensor: so many for each name."""
    ends = np.cumsum(list(widths.values()))
    return {
        name: tensor[:, int(end) - width : int(end)]
        for (name, width), end in zip(widths.items(), ends, strict=True)
    }


def _compiled(model: keras.Model) -> keras.Model:
    # A graph, but not XLA, which would take longer to compile; JAX has nothing else.
    model.compile(jit_compile=keras.config.backend() == "jax")
    return model
