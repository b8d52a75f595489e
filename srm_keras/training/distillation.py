"""Knowledge distillation: a trained network's answers as a part of what another one learns."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from ml_collections import config_dict

from srm_keras.data import Preprocessing
from srm_keras.interop.trained import read_trained
from srm_keras.models.head import logits
from srm_keras.models.surgery.functional import copied, is_functional
from srm_keras.models.weights import Trained
from srm_keras.support.files import write_json
from srm_keras.support.foreign import first_line
from srm_keras.training import run_folder
from srm_keras.training.fields import naming
from srm_keras.training.fine_tuning import same_classes

FIELD = "distillation.teacher"


class SoftTargets(keras.losses.Loss):
    """``T² · KL(p ‖ q)`` with the softmaxes ``p`` and ``q`` of the logits divided by ``T``.

    ``T²`` keeps the size of the gradient, which falls with ``1 / T²``, about the same whatever
    ``T`` is. The mean over the batch.

    Args:
        temperature: ``T``, positive.

    Reference:
        Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2. Theirs is the
        cross-entropy with ``p``, which differs by the entropy of ``p`` and has the same gradient.
    """

    def __init__(self, temperature: float, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, y_true, y_pred):
        """Of each example, (B,), from the teacher's and the student's logits (B, classes)."""
        log_p = ops.log_softmax(y_true / self.temperature)
        log_q = ops.log_softmax(y_pred / self.temperature)
        return self.temperature**2 * ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)


class Teacher:
    """A trained network whose answers a student learns; it is never trained itself.

    No part of the student: a plain object, so that Keras tracks none of its variables.

    Args:
        trained: The network, read in the scope in which the student trains.
        preprocessing: How the student's images are made ready.
        temperature: Of both networks' softmaxes.
        weight: Of the teacher's answers in the loss, in (0, 1]; labels have the rest.

    Raises:
        ValueError: If the network is no classifier, or takes other images than the student's.
    """

    def __init__(
        self, trained: Trained, preprocessing: Preprocessing, temperature: float, weight: float
    ):
        network = _reading(trained, preprocessing.image_shape)
        with naming(FIELD):
            outputs = logits(network)
        self._network = keras.Model(network.inputs[0], outputs, name=network.name)
        self._network.trainable = False
        self._trained = trained
        self._scale, self._offset = _standardized_anew(preprocessing, trained.preprocessing)
        self._soft_targets = SoftTargets(temperature)
        self.temperature = temperature
        self.weight = weight

    @property
    def sha256(self) -> str:
        """Of the file that the network was read from."""
        return self._trained.sha256

    def check_classes(self, classes: Sequence[str]) -> None:
        """Raises ``ValueError`` unless its outputs are the student's ``classes``, in their order.

        Where nothing names the classes of the teacher, their number counts.
        """
        if same_classes(self._trained, tuple(classes)):
            return
        names = self._trained.classes or f"{self._trained.model.output_shape[-1]} without names"
        raise ValueError(
            f"`{FIELD}` must tell the classes of the data, in their order: {tuple(classes)}. "
            f"Received: {self._trained.name!r} with {names}"
        )

    def logits(self, images):
        """Its answers in inference mode, (B, classes), to the student's ``images`` (B, H, W, C)."""
        if self._scale is not None:
            images = ops.add(ops.multiply(images, self._scale), self._offset)
        return ops.stop_gradient(self._network(images, training=False))

    def loss(self, images, student_logits):
        """What its answers to ``images`` add to the student's loss, ``weight`` included."""
        return self.weight * self._soft_targets(self.logits(images), student_logits)

    def describe(self, folder: Path) -> None:
        """Writes ``teacher.json`` to the run folder, and tells stderr what it says."""
        facts = {
            "teacher": self._trained.name,
            "sha256": self.sha256,
            "parameters": self._network.count_params(),
        }
        write_json(folder / run_folder.TEACHER, facts)
        print(
            f"Distilled from {facts['teacher']} (sha256 {self.sha256[:16]}…, "
            f"{facts['parameters']:,} parameters): weight {self.weight}, temperature "
            f"{self.temperature}; images {self._told_images()}",
            file=sys.stderr,
        )

    def _told_images(self) -> str:
        if self._trained.preprocessing is None:
            return "as the student's, since nothing says how it takes them"
        return "as the student's" if self._scale is None else "standardized anew"


def read_teacher(recipe: config_dict.ConfigDict, preprocessing: Preprocessing) -> Teacher | None:
    """The teacher of a resolved recipe; None where it has none.

    To be called in the scope of the distribution, so that every replica has its variables.

    Raises:
        ValueError: If there is none by that name, or it does not suit the images.
        ImportError: If a package that reads it is not installed.
    """
    options = recipe.distillation
    if options.teacher is None:
        return None
    trained = read_trained(options.teacher, field=FIELD)
    return Teacher(trained, preprocessing, float(options.temperature), float(options.weight))


def _reading(trained: Trained, shape: tuple[int, int, int]) -> keras.Model:
    """The network, or a copy of it that reads images of the student's size."""
    model, taken = trained.model, trained.model.input_shape[1:]
    if _fits(shape, taken):
        return model
    reason = ""
    if is_functional(model) and _fits(shape[2:], taken[2:]):
        try:
            return copied(model, inputs=keras.Input(shape, dtype=model.inputs[0].dtype))
        except ValueError as error:
            reason = f" ({first_line(error)})"
    raise ValueError(
        f"`{FIELD}` must take images of the shape {shape}, which `data.preprocessing` makes. "
        f"Received: {trained.name!r}, which takes {taken} alone{reason}"
    )


def _fits(shape: Sequence[int], taken: Sequence[int | None]) -> bool:
    same = len(taken) == len(shape)
    return same and all(known in (None, size) for known, size in zip(taken, shape, strict=True))


def _standardized_anew(student: Preprocessing, teacher: Preprocessing | None) -> tuple[Any, Any]:
    """``(scale, offset)`` from the student's standardized images to the teacher's, a channel each.

    None, None where they are the same, or where nothing is known of the teacher's.
    """
    if teacher is None:
        return None, None
    scale, offset = map(np.asarray, student.scale_and_offset())
    new_scale, new_offset = map(np.asarray, teacher.scale_and_offset())
    ratio, shift = new_scale / scale, new_offset - offset * (new_scale / scale)
    if np.all(ratio == 1) and np.all(shift == 0):
        return None, None
    return ratio.astype("float32"), shift.astype("float32")
