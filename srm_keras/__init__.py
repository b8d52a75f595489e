"""Channel attention ("feature recalibration") for Keras 3.

``layers`` and ``models`` run on any Keras backend. The other packages need more than Keras
(TensorFlow, Matplotlib, ...), so they are imported on first use.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

from srm_keras.support.foreign import keep_matplotlib_importable
from srm_keras.version import __version__

keep_matplotlib_importable()  # before Keras is imported
if Path(sys.argv[0] if sys.argv else "").stem not in ("srm-keras", "-m"):
    from srm_keras import layers, models  # `srm-keras help` does not wait for Keras

    # What `weights` names is read by a package above models; it registers itself once imported.
    models.weights.register_library(lambda: importlib.import_module(f"{__name__}.interop.trained"))

_LAZY_PACKAGES = ("analysis", "data", "export", "interop", "layers", "models", "training")

__all__ = ["__version__", "analysis", "data", "export", "interop", "layers", "models", "training"]


def __getattr__(name: str) -> ModuleType:
    if name in _LAZY_PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
