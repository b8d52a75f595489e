"""The two forms of a network that benchmarks and studies set beside each other."""

from collections.abc import Callable

import keras

from srm_keras.export.deploy import deploy, in_float32
from srm_keras.export.folding import fold

DEPLOYED, LAYERS = "deploy form", "folded layers"

FORMS: dict[str, Callable[[keras.Model], keras.Model]] = {
    DEPLOYED: deploy,
    LAYERS: lambda model: fold(in_float32(model)),
}
"""What the exporters write; and the modules as ``fold`` leaves them, both in float32."""
