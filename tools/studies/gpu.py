r"""Times the modules and networks with them on a GPU, beside its limits and beside PyTorch.

    KERAS_BACKEND=jax python -m tools.studies.gpu --out=docs/results/gpu
    KERAS_BACKEND=jax python -m tools.studies.gpu --out=runs/gpu --tiny

Measures, the most important first: what the card can do (a copy, a product of matrices); updates of
ResNet-50 plain, with SE and SRM, in Keras, PyTorch and timm, taking turns; forward and backward of
each module at the four map sizes of ResNet-50 in bfloat16; PyTorch's networks compiled; the maps in
float32; CifarResNet-56; the other modules. Writes gpu.json, gpu.csv and gpu.md to --out after each
part, begins none that would not end within --minutes, and goes on where it was when it is run
again, on the same card. What PyTorch or timm would do is left out where it is not installed.

It needs Keras on JAX and no TensorFlow. To a machine that has jax, numpy, scipy, h5py, rich,
absl-py, ml_dtypes, packaging and PyYAML, carry the wheels of keras 3.15, namex, optree (compiled:
for the Python there) and ml_collections, and a clone of this repository; torch and timm for their
parts.
"""

import importlib.util
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags as absl_flags
from absl.flags import FlagValues

from srm_keras.cli import flags as shared
from srm_keras.cli.main import run
from srm_keras.support.timing import Spread, paired_times, round_ratios, versions
from tools.studies.gpu_page import Amount, nominal, page, rates
from tools.studies.gpu_parts import FULL, KERAS, PLACE, PLAIN, TIMM, TINY, TORCH, Part, Sizes, parts
from tools.studies.results import Results, check_backend, milliseconds
from tools.studies.timed_steps import FEWEST_PASSES, Program

PACKAGES = ("keras", "jax", "jaxlib", "torch", "timm", "numpy")
SECONDS = {"card": 20.0, "steps": 100.0, "compiled": 120.0, "maps": 30.0}
"""How long a part takes, until the first of its kind was measured."""


class Study:
    """Measures parts; what was trained once is kept for the parts that compare with it.

    Args:
        folder: For the files.
        sizes: Of everything.

    Raises:
        ValueError: Keras does not compute with JAX, or ``folder`` holds a study of another card.
    """

    def __init__(self, folder: Path, sizes: Sizes):
        check_backend("study of a GPU", "jax")
        # PyTorch needs its share of the card's memory; JAX reads this when it first uses the card.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax

        settings = {"rounds": sizes.rounds, "least_ms": sizes.least_ms}
        for name, network in sizes.networks.items():
            settings[name] = f"batch {network.batch}, {network.side}×{network.side}"
        card = jax.devices()[0].device_kind
        head = {"environment": {"card": card, **_versions()}, "settings": settings}
        self.results = Results(folder, "gpu", "study of a GPU", head, PLACE, page)
        self.sizes, self.card = sizes, nominal(card)
        self._kept: dict[tuple[str, str, str], Any] = {}

    def run(self, minutes: float) -> Iterator[tuple[Part, str]]:
        """Yield each part and what became of it: ``"known"``, ``"measured"``, ``"no time"``."""
        begun = time.monotonic()
        seconds = dict(SECONDS)
        seen: set[str] = set()
        for part in parts(self.sizes, _frameworks()):
            if all(map(self.results.find, part.places())):
                yield part, "known"
                continue
            start = time.monotonic()
            if start - begun + seconds[part.kind] > 60 * minutes:
                yield part, "no time"
                continue
            self.measure(part)
            took = time.monotonic() - start
            seconds[part.kind] = max(took, seconds[part.kind] if part.kind in seen else 0)
            seen.add(part.kind)
            yield part, "measured"

    def measure(self, part: Part) -> None:
        """Add the rows of ``part`` that are not known."""
        made = dict(zip(part.keys, self._programs(part), strict=True))
        programs = {" ".join(key): one for key, one in made.items() if isinstance(one, Program)}
        steps = {name: program.step for name, program in programs.items()}
        times = paired_times(steps, self.sizes.rounds, self.sizes.warmup) if steps else {}
        limits = self._measured(), self.card
        for place, (key, program) in zip(part.places(), made.items(), strict=True):
            if self.results.find(place) is not None:
                continue
            if isinstance(program, Exception):
                error = " ".join(f"{type(program).__name__}: {program}".split())[:300]
                self.results.add({**place, "kind": part.kind, "error": error})
                continue
            name, count = " ".join(key), program.repetitions
            own = tuple(value / count for value in times[name].wall)
            self.results.add(
                {
                    **place,
                    "kind": part.kind,
                    **milliseconds(own),
                    "memory_gib": None if program.memory is None else program.memory / 2**30,
                    **self._ratio(part, key, times, programs),
                    **rates(self._amount(part, key[1]), Spread.of(own).median, *limits),
                    "error": None,
                }
            )

    def _ratio(
        self, part: Part, key: tuple[str, str], times: Mapping, programs: Mapping[str, Program]
    ) -> dict[str, float | None]:
        """Median of the ratios of each round to plain in the same framework, or to SE."""
        if part.kind == "card":
            return {}
        column, module = ("to_se", "se") if part.kind == "maps" else ("to_plain", PLAIN)
        name, baseline = " ".join(key), f"{key[0]} {module}"
        if baseline not in times:
            return {column: None}
        ratios = round_ratios(times, name, baseline).wall
        counts = programs[baseline].repetitions / programs[name].repetitions
        return {column: round(Spread.of(ratios).median * counts, 4)}

    def _programs(self, part: Part) -> list[Program | Exception]:
        from tools.studies import gpu_keras

        sizes = self.sizes
        if part.kind == "card":
            card = gpu_keras.measure_card(sizes.copied, sizes.side, sizes.least_ms)
            return [card[module] for _, module in part.keys]
        if part.shape is not None:
            names = [module for _, module in part.keys]
            made = gpu_keras.module_programs(names, part.shape, part.dtype, sizes.least_ms)
            return [made[name] for name in names]
        network = sizes.networks[part.case]
        new = [key for key in part.keys if (part.case, *key) not in self._kept]
        ours = [module for framework, module in new if framework == KERAS]
        found = gpu_keras.training_programs(network, ours, sizes.least_ms)
        for framework, module in new:
            program = found[module] if framework == KERAS else self._peer(part, framework, module)
            self._kept[(part.case, framework, module)] = program
        return [self._kept[(part.case, *key)] for key in part.keys]

    def _peer(self, part: Part, framework: str, module: str) -> Program | Exception:
        from tools.studies.gpu_torch import training_program

        sizes = self.sizes
        try:
            network = sizes.networks[part.case]
            return training_program(network, framework, module, sizes.least_ms, sizes.compiler)
        except Exception as error:
            return error

    def _amount(self, part: Part, module: str) -> Amount:
        """What a program of ``part`` does at least."""
        sizes = self.sizes
        if part.kind == "card":
            copied = module == "copy"
            return Amount(bytes=2 * sizes.copied) if copied else Amount(flops=2 * sizes.side**3)
        if part.shape is not None:
            size = math.prod(part.shape) * (2 if part.dtype == "bfloat16" else 4)
            return Amount(bytes=FEWEST_PASSES[module] * size)
        network = sizes.networks[part.case]
        return Amount(flops=6 * network.multiply_adds * network.batch, images=network.batch)

    def _measured(self) -> dict[str, float | None]:
        """What the card did: bytes and operations a second."""
        rows = {row["module"]: row for row in self.results.rows if row["case"] == "card"}
        return {
            "bytes": rows.get("copy", {}).get("gb_per_second"),
            "flops": rows.get("product", {}).get("tflops"),
        }


def _versions() -> dict[str, Any]:
    return {"packages": versions(PACKAGES)}


def _frameworks() -> list[str]:
    """Of PyTorch and timm those that are installed; timm needs PyTorch."""
    if importlib.util.find_spec(TORCH) is None:
        return []
    return [name for name in (TORCH, TIMM) if importlib.util.find_spec(name)]


def define(flags: FlagValues) -> None:
    """Define the flags."""
    shared.out(flags, holds="Folder for gpu.json, gpu.csv and gpu.md.")
    absl_flags.DEFINE_float(
        "minutes", 8.0, "How long it may take in all.", lower_bound=0.0, flag_values=flags
    )
    absl_flags.DEFINE_bool(
        "tiny", False, "Tiny sizes, on any machine: to see that it works.", flag_values=flags
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Measure what there is time for."""
    shared.check(flags, arguments, "out")
    study = Study(Path(flags.out), TINY if flags.tiny else FULL)
    left = 0
    for part, what in study.run(flags.minutes):
        left += what == "no time"
        print(f"{part.kind} {part.case}, {_named(part)}: {what}", flush=True)
    failed = sum(row["error"] is not None for row in study.results.rows)
    print(f"Wrote gpu.json, gpu.csv and gpu.md to {flags.out}")
    if left or failed:
        print(f"{left} parts are left and {failed} programs failed; run it again for these.")


def _named(part: Part) -> str:
    return ", ".join(" ".join(key) for key in part.keys)


if __name__ == "__main__":
    sys.exit(run(sys.modules[__name__], sys.argv[1:], "python -m tools.studies.gpu"))
