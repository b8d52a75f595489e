"""What the loop around the training step costs: images a second of ``train`` and of a bare step."""

import dataclasses
import importlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from srm_keras.support.files import writable_file, write_json, write_text
from srm_keras.support.tables import markdown_table
from srm_keras.support.timing import Spread, timing_environment
from srm_keras.support.validation import positive_int
from srm_keras.training import train
from srm_keras.training.distribution import running_loss
from tools.studies.results import check_backend, fact_lines

LOOP = importlib.import_module("srm_keras.training.train")
"""The module; ``srm_keras.training.train`` is its function."""

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """A training whose loop is timed.

    Attributes:
        name: Of the network of ``srm_keras.models``.
        options: Its arguments.
        image_size: Side of the images in pixels.
        batch_size: Images an update.
        updates: Timed a round; a multiple of ``steps_per_execution``.
        steps_per_execution: Updates between two returns to Python.
    """

    name: str
    options: Mapping[str, Any]
    image_size: int
    batch_size: int
    updates: int
    steps_per_execution: int = 1

    def __str__(self) -> str:
        depth = self.options.get("depth", "")
        side = self.image_size
        return f"{self.name}{depth and f'-{depth}'}, {self.batch_size} images {side}×{side}"

    def recipe(self, rounds: int) -> dict[str, Any]:
        """The training: an epoch a round, of cropped and mirrored images that lie in memory."""
        size, updates = self.image_size, self.untimed + self.updates
        examples = {"train_examples": 4 * self.batch_size, "test_examples": self.batch_size}
        return {
            "steps": rounds * updates,
            "eval_every": updates,
            "batch_size": self.batch_size,
            "eval_batch_size": self.batch_size,
            "steps_per_execution": self.steps_per_execution,
            "data": {
                "options": {"size": size, **examples},
                "preprocessing": {"image_size": size, "pad": 4, "flip": True},
            },
            "model": {"name": self.name, "options": dict(self.options)},
            "learning_rate": {"base": 0.01},
        }

    @property
    def untimed(self) -> int:
        """Updates before the timed ones of a round: what the pipeline had ready is used up then."""
        return 10


SMALL = Case("cifar_resnet", {"depth": 8, "block": "basic"}, 32, 64, 30)
LARGER = Case("resnet18", {}, 64, 32, 10)
CASES = tuple(
    dataclasses.replace(case, steps_per_execution=stride)
    for case in (SMALL, LARGER)
    for stride in (1, 10)
)
QUICK_CASES = (Case("cifar_resnet", {"depth": 8, "block": "basic"}, 16, 4, 10, 5),)


Seconds = tuple[float, float]
"""That went by, and for which the processors worked for this process, with all its threads."""

Times = tuple[Seconds, Seconds]
"""Of the loop and of the bare step."""


def _clocks() -> Seconds:
    return time.perf_counter(), time.process_time()


def _since(began: Seconds) -> Seconds:
    wall, cpu = (now - then for now, then in zip(_clocks(), began, strict=True))
    return wall, cpu


class _Measured(Exception):  # noqa: N818 - no error: there is nothing more to time
    """All rounds are done."""


class Rounds(keras.callbacks.Callback):
    """Times the updates of every epoch and, before the next one begins, the bare step as often.

    Both clocks start and end when the device has done all that was asked of it.

    Args:
        case: What is timed.
        batch: Images and labels of one batch, in memory.
        rounds: How many epochs there are.
    """

    def __init__(self, case: Case, batch: Sequence[Any], rounds: int):
        super().__init__()
        self.case = case
        self.batch = tuple(map(tf.constant, batch))
        self.rounds = rounds
        self.times: list[Times] = []
        self._loop = self._began = (0.0, 0.0)
        self._step: Callable[..., Any]

    def on_train_begin(self, logs=None):
        """Compiles the bare step as ``fit`` does."""
        self._step = tf.function(self.model.train_step, jit_compile=self.model.jit_compile)

    def on_train_batch_begin(self, batch, logs=None):
        """Starts the loop's clock."""
        if batch == self.case.untimed:
            running_loss(self.model)
            self._began = _clocks()

    def on_test_begin(self, logs=None):
        """Stops it: the loop has looked at the loss of the last update by now."""
        self._loop = _since(self._began)

    def on_epoch_end(self, epoch, logs=None):
        """Times the bare step; ends the training after the last round."""
        self._run(self.case.untimed)
        began = _clocks()
        self._run(self.case.updates)
        self.times.append((self._loop, _since(began)))
        if len(self.times) == self.rounds:
            raise _Measured

    def _run(self, updates: int) -> None:
        for _ in range(updates):
            logs = self._step(self.batch)
        float(logs["loss"])


def measured(case: Case, rounds: int) -> list[Times]:
    """The times of the timed updates of each round, in the loop and bare.

    It is ``train`` that runs, on the case's recipe, with one callback more.
    """
    clocks: list[Rounds] = []
    fit = LOOP.fit  # type: ignore[attr-defined]

    def with_clock(session, resumed, training, validation, writers, *others):
        clocks.append(Rounds(case, next(iter(training(0, (0, 1)))), rounds))
        fit(session, resumed, training, validation, [*writers, *clocks], *others)

    with tempfile.TemporaryDirectory() as folder:
        try:
            LOOP.fit = with_clock  # type: ignore[attr-defined]
            train(case.recipe(rounds), folder)
        except _Measured:
            return clocks[0].times
        finally:
            LOOP.fit = fit  # type: ignore[attr-defined]
            keras.backend.clear_session()
    raise AssertionError("the training ended before its last round")


def benchmark_train_step(
    cases: Sequence[Case] = CASES,
    rounds: int = 8,
    warmup: int = 1,
    out: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Measures images a second of ``train``'s loop and of the bare compiled step.

    In every epoch of a training the loop's updates are timed, without evaluation and files, and
    after the epoch as many calls of the compiled ``train_step`` of the same network on one batch
    that lies in memory. The ratio is taken round by round: what slows a round down slows both.

    Args:
        cases: What is trained.
        rounds: Measured rounds.
        warmup: Rounds before the first measured one.
        out: A folder for ``benchmark_train_step.json`` and ``.md``.

    Returns:
        What the JSON file holds: ``environment``, ``settings`` and ``rows``. A row has the case,
        images a second of both (medians), median and quartiles of ``ratio``, the loop's by the bare
        step's, and ``processor_ratio``, the median of the same of processor time. Where others are
        at work on the machine, the second alone tells something: the loop has more threads, and
        gets a larger share of the processors. It contains the input pipeline's work.

    Raises:
        ValueError: If Keras' backend is not TensorFlow, or an argument is wrong.
    """
    check_backend("training step's benchmark")
    positive_int("rounds", rounds)
    positive_int("warmup", warmup)
    files = list(_files(out)) if out else []
    report: dict[str, Any] = {
        "environment": timing_environment(),
        "settings": {"rounds": rounds, "warmup": warmup, "load": _load()},
        "rows": [],
    }
    for case in cases:
        report["rows"].append(_row(case, measured(case, warmup + rounds)[warmup:]))
        report["settings"]["load at the end"] = _load()
        if files:
            write_json(files[0], report)
            write_text(files[1], report_markdown(report))
    return report


def _files(out: str | os.PathLike) -> Iterator[Path]:
    for end in ("json", "md"):
        yield writable_file("out", Path(out) / f"benchmark_train_step.{end}")


def _load() -> str:
    """Processes that wanted to run, means over 1, 5 and 15 minutes; this one is among them."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _row(case: Case, times: Sequence[Times]) -> Row:
    (loop, loop_cpu), (bare, bare_cpu) = np.array(times).transpose(1, 2, 0)
    images = case.updates * case.batch_size
    ratio = Spread.of(bare / loop)
    return {
        "case": str(case),
        "steps_per_execution": case.steps_per_execution,
        "updates_a_round": case.updates,
        "loop_images_per_second": round(images / float(np.median(loop)), 1),
        "bare_images_per_second": round(images / float(np.median(bare)), 1),
        "ratio": ratio.median,
        "ratio_lower_quartile": ratio.lower,
        "ratio_upper_quartile": ratio.upper,
        "processor_ratio": Spread.of(bare_cpu / loop_cpu).median,
    }


NOTE = (
    "A ratio is that of the loop to the bare step, round by round; quartiles over the rounds. The "
    "one of processor time counts all threads, and the input pipeline as part of the loop. Where "
    "the load is far above 1 it alone tells something: the loop has more threads than the bare "
    "step, and so gets a larger share of the processors."
)


def report_markdown(report: Mapping[str, Any]) -> str:
    """The report of ``benchmark_train_step`` as a Markdown page."""
    lines = ["# Images a second of the training loop beside the bare step", ""]
    lines += [*fact_lines(report), "", rows_markdown(report["rows"]), "", NOTE]
    return "\n".join(lines) + "\n"


def rows_markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    header = (
        "training",
        "steps_per_execution",
        "loop, images/s",
        "bare step",
        "ratio",
        "quartiles",
        "of processor time",
    )
    cells = [
        (
            row["case"],
            str(row["steps_per_execution"]),
            f"{row['loop_images_per_second']:.0f}",
            f"{row['bare_images_per_second']:.0f}",
            f"{row['ratio']:.3f}",
            f"{row['ratio_lower_quartile']:.3f}–{row['ratio_upper_quartile']:.3f}",
            f"{row['processor_ratio']:.3f}",
        )
        for row in rows
    ]
    return markdown_table(header, cells)
