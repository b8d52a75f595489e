"""Programs of Keras on JAX for the study of a GPU: modules at a map, training steps, the card.

All of a program's results are its outputs, so that XLA computes and writes every one of them.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from srm_keras.models import CifarResNet, ResNet
from tools.studies.timed_steps import MULTIPLY, Network, Program, Shape, built_module

POLICIES = {"bfloat16": "mixed_bfloat16", "float32": "float32"}
"""Dtypes of maps, and the policies of layers that take them: weights are float32."""
PLAIN = "plain"

Lowered = tuple[Any, tuple[Any, ...]]
"""A lowered program and its arguments."""


def module_programs(
    names: Iterable[str], shape: Shape, dtype: str, least_ms: float
) -> dict[str, Program | Exception]:
    """Forward and backward of modules in training mode.

    A program's arguments are the weights, x and dy; its results y, the moving averages, the
    gradients of the weights and dx.

    Args:
        names: Of ``timed_steps.modules()``. ``"multiply"`` is ``y = x·g`` with given gates g, of
            which the gradient is taken as well.
        shape: (N, H, W, C) of x.
        dtype: ``"bfloat16"`` or ``"float32"``, of x and dy.
        least_ms: See ``Program.of``.

    Returns:
        By name, the program, or the error where it cannot be made or run.
    """
    random = np.random.default_rng(0)
    x, dy = (_normal(seed, shape, dtype) for seed in range(2))
    gates = jnp.asarray(random.random((shape[0], 1, 1, shape[-1]), "float32"), dtype)

    def lower(name: str) -> Lowered:
        if name == MULTIPLY:
            call: Callable[..., Any] = lambda weights, x: (x * weights[0], [])  # noqa: E731
            weights = [gates]
        else:
            layer = built_module(name, shape, random, POLICIES[dtype])
            averages = _values(layer.non_trainable_variables)
            weights = _values(layer.trainable_variables)

            def call(weights, x):
                return layer.stateless_call(weights, averages, x, training=True)

        arguments = (weights, x, dy)
        return jax.jit(_forward_backward(call)).lower(*arguments), arguments

    lowered = {name: _tried(lower, name) for name in names}
    return _programs(lowered, lambda compiled, arguments: lambda: compiled(*arguments), least_ms)


def _forward_backward(call: Callable[..., Any]) -> Callable[..., Any]:
    def forward_backward(weights, x, dy):
        y, gradient, averages = jax.vjp(call, weights, x, has_aux=True)
        return y, averages, gradient(dy)

    return forward_backward


def training_programs(
    network: Network, modules: Iterable[str], least_ms: float
) -> dict[str, Program | Exception]:
    """Updates of a network in bfloat16 with float32 weights: SGD with Nesterov's momentum.

    Args:
        network: What is trained.
        modules: Of its residual blocks, names or ``"plain"``.
        least_ms: See ``Program.of``.

    Returns:
        By module, the program, or the error where it cannot be made or run.
    """
    images, labels = map(jnp.asarray, network.images())

    def lower(module: str) -> Lowered:
        model = built_network(network, module)
        optimizer = keras.optimizers.SGD(1e-3, momentum=0.9, nesterov=True)
        optimizer.build(model.trainable_variables)
        parts = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
        state = tuple(map(_values, parts))
        update = jax.jit(update_of(model, optimizer), donate_argnums=0)
        return update.lower(state, images, labels), (state, images, labels)

    lowered = {module: _tried(lower, module) for module in modules}
    return _programs(lowered, _updates, least_ms)


def built_network(network: Network, module: str) -> keras.Model:
    """The network with ``module`` in each block, in mixed precision; its results are logits."""
    options: dict[str, Any] = {
        "input_shape": (network.side, network.side, 3),
        "classes": network.classes,
        "classifier_activation": None,
        "recalibration": None if module == PLAIN else module,
        "data_format": "channels_last",
    }
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES["bfloat16"])
    try:
        if len(network.blocks) == 4:
            return ResNet("bottleneck", network.blocks, **options)
        return CifarResNet(6 * network.blocks[0] + 2, **options)
    finally:
        keras.config.set_dtype_policy(policy)


def update_of(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Callable[..., Any]:
    """An update without state: ``(state, images, labels) → (state, loss)``.

    The state is the values of the trainable variables, of the others, and of the optimizer's.
    """

    def loss_of(trainable, others, images, labels):
        logits, others = model.stateless_call(trainable, others, images, training=True)
        losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        return jnp.mean(losses), others

    def update(state, images, labels):
        trainable, others, slots = state
        gradient = jax.value_and_grad(loss_of, has_aux=True)
        (loss, others), gradients = gradient(trainable, others, images, labels)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return (trainable, others, slots), loss

    return update


def _updates(compiled: Any, arguments: tuple[Any, ...]) -> Callable[[], Any]:
    """Each call is the update after the one before."""
    state, images, labels = arguments

    def update():
        nonlocal state
        state, loss = compiled(state, images, labels)
        return loss

    return update


def measure_card(copied: int, side: int, least_ms: float) -> dict[str, Program]:
    """What the card can do: ``"copy"`` negates so many bytes, ``"product"`` is of bf16 matrices.

    Args:
        copied: Bytes that are read, and as many written.
        side: Of the square matrices.
        least_ms: See ``Program.of``.
    """
    numbers, matrix = _normal(0, (copied // 4,), "float32"), _normal(1, (side, side), "bfloat16")
    tasks = {"copy": (jnp.negative, (numbers,)), "product": (jnp.matmul, (matrix, matrix))}
    programs = {}
    for name, (function, arguments) in tasks.items():
        compiled = jax.jit(function).lower(*arguments).compile()
        start = _bound(compiled, arguments)
        programs[name] = Program.of(start, jax.block_until_ready, _memory(compiled), least_ms)
    return programs


def _bound(compiled: Any, arguments: tuple[Any, ...]) -> Callable[[], Any]:
    return lambda: compiled(*arguments)


def _programs(
    lowered: Mapping[str, Lowered | Exception],
    start: Callable[[Any, tuple[Any, ...]], Callable[[], Any]],
    least_ms: float,
) -> dict[str, Program | Exception]:
    """Compile, several at a time, and run each for the first time, one after the other."""
    with ThreadPoolExecutor() as pool:
        compiled = pool.map(lambda found: _tried(_compiled, found), lowered.values())

    def made(found: Any) -> Program:
        program, arguments = found
        step = start(program, arguments)
        return Program.of(step, jax.block_until_ready, _memory(program), least_ms)

    return {name: _tried(made, found) for name, found in zip(lowered, compiled, strict=True)}


def _compiled(found: Lowered) -> tuple[Any, tuple[Any, ...]]:
    lowered, arguments = found
    return lowered.compile(), arguments


def _tried(make: Callable[[Any], Any], given: Any) -> Any:
    """What ``make`` makes of it, or the error with which this or an earlier step failed."""
    if isinstance(given, Exception):
        return given
    try:
        return make(given)
    except Exception as error:
        return error


def _memory(compiled: Any) -> int | None:
    """Bytes at the peak of a program: what it gets, gives and holds in between."""
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    given = analysis.argument_size_in_bytes + analysis.output_size_in_bytes
    return given + analysis.temp_size_in_bytes - analysis.alias_size_in_bytes


def _normal(seed: int, shape: tuple[int, ...], dtype: str) -> Any:
    """Random numbers, drawn where they are used: a large map takes a host seconds."""
    return jax.random.normal(jax.random.key(seed), shape, dtype)


def _values(variables: Iterable[Any]) -> list[Any]:
    return [variable.value for variable in variables]
