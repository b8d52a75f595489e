"""The dtype policy that new layers get."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def dtype_policy(policy: str | keras.dtype_policies.DTypePolicy) -> Iterator[None]:
    """A context in which new layers have ``policy``, a name or a policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
