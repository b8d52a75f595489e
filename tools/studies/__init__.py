"""What wrote docs/results."""

from srm_keras.support.foreign import load

load("srm_keras.models")  # Keras, and what it starts, without their messages
