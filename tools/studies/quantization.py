"""Measures what TFLite's formats cost trained networks, above all int8.

    python -m tools.studies.quantization --models=runs/none,runs/se,runs/srm --out=docs/results

Reads run folders of train. Compares a file of each format with the Keras model on images
of the evaluation split, from the form that the exporters write and from the folded layers
themselves; and int8 files whose modules compute partly in float, which shows where int8 loses.
Writes quantization.json, quantization.csv and quantization.md to --out after each file. A study
that was interrupted goes on where it was; files that failed are tried again.
"""

import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
from absl import flags as absl_flags
from absl import logging
from absl.flags import FlagValues

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run
from srm_keras.export.deploy import Deployed, in_float32
from srm_keras.export.parity import centred_logits, outputs, signal_to_noise_db
from srm_keras.export.pipeline import ExportError
from srm_keras.export.runners import TFLiteRunner, keras_runner
from srm_keras.export.tflite.conversion import (
    FORMATS,
    Conversion,
    PartlyInteger,
    recalibration_parts,
)
from srm_keras.export.tflite.exporter import read_graph, tflite_details, tflite_logits
from srm_keras.layers import Recalibration
from srm_keras.support.foreign import first_line
from tools.studies.exported_files import DEPLOYED, FORMS, LAYERS
from tools.studies.results import Results, Row

FLOAT32_TENSOR = 0  # of schema.TensorType


def define(flags: FlagValues) -> None:
    """Define the flags."""
    absl_flags.DEFINE_list("models", [], "Run folders of train.", flag_values=flags)
    absl_flags.DEFINE_string("out", None, "Folder for the results.", flag_values=flags)
    absl_flags.DEFINE_enum(
        "checkpoint", "best", ["best", "last"], "Which weights to take.", flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "samples",
        2000,
        "Number of evaluation images on which files are compared.",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_list(
        "representative",
        "256,1000",
        "Numbers of training images from which integer formats take the range of every tensor: "
        "int8 is made with each, int16x8 with the largest.",
        flag_values=flags,
    )


@dataclass(frozen=True)
class Images:
    """What a network is quantized with and judged on.

    Attributes:
        representative: Inputs of the training split, prepared as for evaluation, from all over it;
            as many as the largest representative set has.
        inputs: Inputs of the evaluation split, prepared likewise.
        labels: (N,) integers, of ``inputs``.
    """

    representative: np.ndarray
    inputs: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Subject:
    """A trained network of the study.

    Attributes:
        run: Name of the run.
        dataset: Name of the data set.
        network: What it has in common with networks it is compared with.
        module: Name of its recalibration module, or ``"none"``.
        seed: Of the training.
        model: The network.
        images: Loads what it is quantized with and judged on.
    """

    run: str
    dataset: str
    network: str
    module: str
    seed: int
    model: keras.Model
    images: Callable[[], Images]

    @property
    def head(self) -> Row:
        """What all rows of this network begin with; ``weights`` tells trainings apart."""
        digest = hashlib.sha256()
        for array in self.model.get_weights():
            digest.update(np.ascontiguousarray(array).tobytes())
        names = ("run", "dataset", "network", "module", "seed")
        return {
            **{name: getattr(self, name) for name in names},
            "weights": digest.hexdigest()[:12],
        }


@dataclass(frozen=True)
class _File:
    """Which file of a network a row is about.

    Attributes:
        form: Of ``compared_forms``.
        format: Of ``srm_keras.export.to_tflite``.
        in_float: Which parts of the modules compute in float all the same, or nothing.
        representative: Number of images from which integer formats take their ranges, else 0.
    """

    form: str
    format: str
    in_float: str
    representative: int


def study(
    subject: Subject,
    results: Results,
    representative: Sequence[int],
    on_row: Callable[[Row], object] = lambda row: None,
) -> None:
    """Add the rows of one network to ``results``; those that are there already are not made again.

    Each row is a TFLite file, compared with the Keras model on the evaluation images: every format
    of the deploy form and, for a network with modules, of the folded layers themselves; and int8
    files of the deploy form in which the modules stay in float from one of their parts on.

    Args:
        subject: The network.
        results: Of the study, written after each row.
        representative: Sizes of the representative sets; int8 has a row for each.
        on_row: Called with each row, new or old.
    """
    head, work = subject.head, _Work(subject)
    keys = (head | asdict(file) for file in _wanted(work, representative))
    for row in results.completed(keys, lambda key: _measured(work, _file(key))):
        on_row(row)


def _file(row: Row) -> _File:
    return _File(*(row[field.name] for field in fields(_File)))


def _wanted(work: "_Work", representative: Sequence[int]) -> Iterator[_File]:
    modules = any(isinstance(layer, Recalibration) for layer in work.subject.model.layers)
    for form in (DEPLOYED, LAYERS)[: 1 + modules]:
        for format in FORMATS:
            for count in _set_sizes(format, representative):
                yield _File(form, format, "", count)
    if modules:
        for count in representative:
            yield from (_File(DEPLOYED, "int8", end, count) for end in work.ends)


def _set_sizes(format: str, representative: Sequence[int]) -> Sequence[int]:
    """LiteRT has no fast kernels for int16x8: it is only made with the largest set."""
    return {"int8": representative, "int16x8": (max(representative),)}.get(format, (0,))


class _Work:
    """What the rows of a network share, made when it is first needed."""

    def __init__(self, subject: Subject):
        self.subject = subject
        self._partly_integer: dict[int, PartlyInteger] = {}

    @cached_property
    def images(self) -> Images:
        return self.subject.images()

    @cached_property
    def expected(self) -> np.ndarray:
        return outputs(keras_runner(in_float32(self.subject.model)), self.images.inputs)

    @cached_property
    def networks(self) -> dict[str, Deployed]:
        """The network in each form."""
        return {form: Deployed(make(self.subject.model)) for form, make in FORMS.items()}

    @cached_property
    def parts(self) -> dict[str, str]:
        return recalibration_parts(self.subject.model, self.networks[DEPLOYED].network)

    @cached_property
    def ends(self) -> dict[str, list[str]]:
        """What stays in float in one row each: the module from one of its parts on."""
        parts = list(dict.fromkeys(self.parts.values()))
        return {f"{part} and after": parts[index:] for index, part in enumerate(parts)}

    def convert(self, file: _File) -> bytes:
        """The content of a file."""
        if file.in_float:
            return self.partly_integer(file.representative).file(self.ends[file.in_float])
        images = self.representative(file.representative) if file.representative else None
        return Conversion(file.format, representative=images).convert(self.networks[file.form])

    def partly_integer(self, representative: int) -> PartlyInteger:
        """What makes files that are partly in float, with so many representative images."""
        if representative not in self._partly_integer:
            self._partly_integer[representative] = PartlyInteger(
                self.networks[DEPLOYED], self.parts, self.representative(representative)
            )
        return self._partly_integer[representative]

    def representative(self, count: int) -> np.ndarray:
        """So many of the representative images, at even distances, or all if there are fewer."""
        images = self.images.representative
        return images[np.linspace(0, len(images), min(count, len(images)), False).astype(int)]


def _measured(work: _Work, file: _File) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        try:
            path.write_bytes(work.convert(file))
            return {"error": None, **_compared(work, path, file.format), **_details(path)}
        except (ExportError, RuntimeError, ValueError) as error:
            return {"error": first_line(error)}


def _compared(work: _Work, path: Path, format: str) -> Row:
    images, expected = work.images, work.expected
    actual, logits = _outputs_and_logits(path, format, images.inputs)
    classes = actual.argmax(axis=1)
    return {
        "images": len(images.inputs),
        "snr_db": signal_to_noise_db(centred_logits(expected), centred_logits(logits)),
        "float_accuracy": float(np.mean(expected.argmax(axis=1) == images.labels)),
        "accuracy": float(np.mean(classes == images.labels)),
        "agreement": float(np.mean(classes == expected.argmax(axis=1))),
    }


def _outputs_and_logits(
    path: Path, format: str, inputs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    run_logits = tflite_logits(path)
    if run_logits is None:
        actual = outputs(TFLiteRunner(path), inputs)
        return actual, actual
    logits = outputs(run_logits, inputs)
    if format == "int16x8":  # XNNPACK does not take it: the outputs come from the same kernels.
        return logits, logits
    return outputs(TFLiteRunner(path), inputs), logits


def _details(path: Path) -> Row:
    details = tflite_details(path)
    return {
        "size_bytes": path.stat().st_size,
        "operators": sum(details["operators"].values()),
        "pieces": details["partitions"],
        "float_tensors": float_tensors_inside(path),
    }


def float_tensors_inside(path: Path) -> int:
    """Return how many tensors of a TFLite file are float32, its inputs and outputs aside."""
    return sum(
        tensor.type == FLOAT32_TENSOR
        for graph in read_graph(path).subgraphs
        for index, tensor in enumerate(graph.tensors)
        if index not in {*graph.inputs, *graph.outputs}
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Study the runs that the flags name."""
    shared.check(flags, arguments, "models", "out", "representative")
    from srm_keras.training import load_run
    from tools.studies.quantization_report import row_text, study_results

    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every name in a SavedModel.
    settings = {"checkpoint": flags.checkpoint, "samples": flags.samples}
    representative = _counts(flags)
    results = study_results(Path(flags.out), settings)
    folders = [Path(folder) for folder in flags.models]
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        raise ValueError(f"`--models` must be folders of different names. Received: {names}")
    runs = [load_run(folder, flags.checkpoint) for folder in folders]
    subjects = [
        _subject(flags, name, run, max(representative))
        for name, run in zip(names, runs, strict=True)
    ]
    for subject in subjects:
        study(subject, results, representative, lambda row: print(row_text(row), flush=True))
    print(f"Wrote quantization.json, quantization.csv and quantization.md to {flags.out}")


def _counts(flags: FlagValues) -> list[int]:
    if not all(text.isdecimal() and int(text) for text in flags.representative):
        raise ValueError(
            "`--representative` must be positive integers, as 256,1000. "
            f"Received: {','.join(flags.representative)}"
        )
    return [int(text) for text in flags.representative]


def _subject(flags: FlagValues, name: str, run, representative: int):
    """The network of a run, with names that hold no path of this machine."""
    recipe = run.recipe.to_dict()
    options = [str(value) for _, value in sorted(recipe["model"]["options"].items())]
    return Subject(
        run=name,
        dataset=f"{recipe['data']['name']}, {len(run.classes)} classes",
        network=" ".join([recipe["model"]["name"], *options]),
        module=str(recipe["recalibration"] or "none"),
        seed=recipe["seed"],
        model=run.model,
        images=lambda: _images(flags, run, representative),
    )


def _images(flags: FlagValues, run, representative: int):
    from srm_keras.cli.samples import evaluation_samples, representative_inputs

    samples = evaluation_samples(run, flags.samples)
    return Images(representative_inputs(run, representative), samples.inputs, samples.labels)


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.quantization"))
