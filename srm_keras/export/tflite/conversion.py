"""From a Keras network to the bytes of a TFLite file in a given precision."""

import dataclasses
import tempfile
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from srm_keras.export.checked import ExportError
from srm_keras.export.foreign import first_line
from srm_keras.export.runners import signature
from srm_keras.models.functional import all_layers
from srm_keras.validation import boolean, one_of, positive_int

FORMATS = ("float32", "float16", "dynamic", "int8", "int16x8")
INTEGERS = {"int8": tf.int8, "int16x8": tf.int16}
_OPERATORS = {
    "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
    "int16x8": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}


def check_float(model: keras.Model) -> None:
    """Raise ``ValueError`` for a network that Keras' own ``quantize`` has changed."""
    for layer in all_layers(model):
        if layer.quantization_mode is not None:
            raise ValueError(
                "`model` must not be quantized by Keras' `quantize` for TFLite, which quantizes a "
                f"float network itself (format='int8'). Received: {layer.name!r}, a "
                f"{type(layer).__name__} in {layer.quantization_mode}"
            )


@dataclasses.dataclass(frozen=True)
class Conversion:
    """How a network becomes a TFLite file.

    Attributes:
        format: one of ``FORMATS``.
        integer_io: whether an integer format takes and returns integers.
        batch_size: a fixed one, or None.
        representative: inputs from which an integer format takes the range of every tensor.

    Raises:
        ValueError: an attribute is not one of the above.
    """

    format: str
    integer_io: bool = False
    batch_size: int | None = None
    representative: np.ndarray | None = None

    def __post_init__(self) -> None:
        one_of("format", self.format, FORMATS)
        if self.batch_size is not None:
            positive_int("batch_size", self.batch_size)
        if boolean("integer_io", self.integer_io) and not self.integer:
            raise ValueError(
                f"`integer_io` needs the format 'int8' or 'int16x8'. Received: {self.format!r}"
            )
        if self.representative is not None and not self.integer:
            raise ValueError(
                f"`representative` needs the format 'int8' or 'int16x8'. Received: {self.format!r}"
            )

    @property
    def integer(self) -> bool:
        """Whether all operators compute in integers."""
        return self.format in INTEGERS

    @property
    def name(self) -> str:
        """For reports."""
        batch = f", batch {self.batch_size}" if self.batch_size else ""
        return f"TFLite {self.format}{', integer input and output' * self.integer_io}{batch}"

    def convert(self, network: keras.Model) -> bytes:
        """Return the file.

        Raises:
            ExportError: the converter has no form of an operator in this precision.
        """
        with tempfile.TemporaryDirectory() as folder:
            # By way of a SavedModel: converting a traced function directly has produced NaN.
            network.export(folder, input_signature=[self._signature(network)], verbose=False)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            self._configure(converter)
            try:
                return converter.convert()
            except Exception as error:  # The converter's own has no public name.
                raise ExportError(
                    f"{network.name!r} has no form in the format {self.format!r}: "
                    f"{first_line(error)}"
                ) from error

    def _signature(self, network: keras.Model) -> tf.TensorSpec:
        spec = signature(network)
        return tf.TensorSpec((self.batch_size, *spec.shape[1:]), spec.dtype, name=spec.name)

    def _configure(self, converter: tf.lite.TFLiteConverter) -> None:
        if self.format == "float32":
            return
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if self.format == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if self.integer:
            converter.representative_dataset = self._images
            converter.target_spec.supported_ops = [_OPERATORS[self.format]]
        if self.integer_io:
            converter.inference_input_type = INTEGERS[self.format]
            converter.inference_output_type = INTEGERS[self.format]

    def _images(self) -> Iterator[list[np.ndarray]]:
        assert self.representative is not None
        size = self.batch_size or 1
        for start in range(0, len(self.representative), size):
            images = self.representative[start : start + size]
            yield [np.resize(images, (size, *images.shape[1:]))]
