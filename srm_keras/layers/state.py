"""What a layer has learned, given to its copy."""

import tempfile
from collections.abc import Iterator
from typing import Any

import keras


def copy_state(source: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Give a built layer made from the configuration of ``source`` all that ``source`` learned.

    That is its weights and, of it and of every layer inside of it, what Keras saves beside weights:
    what a ``Normalization`` derives from them, the vocabulary of a lookup, what a class of its own
    saves by ``save_own_variables`` and ``save_assets``.

    Raises:
        ValueError: The copy has no room for these weights, or cannot take the rest.
    """
    learned, room = ([tuple(w.shape) for w in layer.weights] for layer in (source, copy))
    if learned != room:
        raise _without_copy(
            source,
            f"weights of shapes {learned}, for which its configuration makes {room} (Keras' "
            "`quantize` and LoRA change layers inside of others so)",
        )
    copy.set_weights(source.get_weights())
    for one, other in _pairs(source, copy):
        if _saves_more_than_weights(one):
            _as_saved(one, other)


def copy_vocabulary(source: Any, copy: Any) -> None:
    """Give a layer made from the configuration of ``source`` its lookup tables.

    The shape of what a lookup gives depends on them: it needs them before it is called.
    """
    for one, other in _pairs(source, copy):
        if _has_assets(one):
            _as_saved(one, other)


def _pairs(source: Any, copy: Any) -> Iterator[tuple[Any, Any]]:
    """``source`` and the layers inside of it, at any depth, each with its counterpart."""
    seen: set[int] = set()
    pairs = [(source, copy)]
    while pairs:
        one, other = pairs.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, keras.layers.Layer) and type(one) is type(other):
            yield one, other
            pairs += _attributes(vars(one), vars(other))
        elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
            pairs += zip(one, other, strict=False)
        elif isinstance(one, dict) and isinstance(other, dict):
            pairs += _attributes(one, other)


def _attributes(one: dict, other: dict) -> list[tuple[Any, Any]]:
    return [(value, other[name]) for name, value in one.items() if name in other]


def _saves_more_than_weights(layer: keras.layers.Layer) -> bool:
    """Whether its class says so: it can be adapted, has assets, or is no class of Keras'."""
    theirs = type(layer).load_own_variables
    is_own = theirs is not keras.layers.Layer.load_own_variables
    return (
        hasattr(layer, "finalize_state")
        or _has_assets(layer)
        or (is_own and not theirs.__module__.startswith("keras."))
    )


def _has_assets(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Layer) and hasattr(layer, "load_assets")


def _as_saved(source: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """What saving ``source`` and loading it again does."""
    store: dict[str, Any] = {}
    try:
        source.save_own_variables(store)
        copy.load_own_variables({name: _array(value) for name, value in store.items()})
        if _has_assets(source):
            with tempfile.TemporaryDirectory() as folder:
                source.save_assets(folder)
                copy.load_assets(folder)
    except Exception as error:  # Whatever a class that is not ours raises.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _without_copy(source, f"a state that its copy refuses: {reason}") from error


def _array(value: Any) -> Any:
    return keras.ops.convert_to_numpy(value) if isinstance(value, keras.Variable) else value


def _without_copy(layer: Any, found: str) -> ValueError:
    return ValueError(
        "`model` must have layers whose copies can take over what they learned. Received: "
        f"{layer.name!r}, a {type(layer).__name__} with {found}"
    )
