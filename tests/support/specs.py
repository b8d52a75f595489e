"""Every module with every option of its table, as specs, and what the tests must know of them."""

import itertools

import keras
import pytest

SRM_SPECS = [
    "srm",
    {"name": "srm", "unbiased": True},
    {"name": "srm", "momentum": 0.5, "cfc_initializer": "he_normal"},
    {"name": "srm", "pooling": ["avg"]},
    {"name": "srm", "pooling": ["std"]},
    {"name": "srm", "pooling": ["max"]},
    {"name": "srm", "pooling": ["avg", "max"]},
    {"name": "srm", "pooling": ["avg", "std", "max"]},
    {"name": "srm", "batch_norm": False},
    {"name": "srm", "integration": "mlp", "reduction": 4},
    {"name": "srm", "integration": "mlp", "batch_norm": False, "reduction": 4},
]
GE_SPECS = [
    {"name": "ge", "extent": extent, "params": params, "reduction": 4}
    for extent, params in itertools.product((0, 2, 4, 8), ("theta_minus", "theta", "theta_plus"))
]
OTHER_SPECS = [
    {"name": "se", "reduction": 4},
    {"name": "se", "reduction": 4, "use_bias": False},
    "eca",
    {"name": "eca", "kernel_size": 5},
    {"name": "cbam", "reduction": 4},
    {"name": "cbam", "reduction": 4, "kernel_size": 3, "use_bias": False},
    {"name": "ge", "extent": 4, "params": "theta_plus", "use_bias": False, "reduction": 4},
    {"name": "simam", "e_lambda": 0.5},
    "gct",
    {"name": "gct", "mode": "l1", "epsilon": 0.5},
    {"name": "gct", "mode": "l1", "after_relu": True},
    {"name": "fca", "reduction": 4},
    {"name": "fca", "frequencies": "bot8", "reduction": 4, "size": 7},
]
EVERY_SPEC = [*SRM_SPECS, *GE_SPECS, *OTHER_SPECS]

# Other backends than TensorFlow, op by op far slower, get one spec of each kind of arithmetic.
CORE_SPECS = [
    "srm",
    {"name": "srm", "pooling": ["avg", "std", "max"], "unbiased": True},
    {"name": "srm", "integration": "mlp", "reduction": 4},
    {"name": "ge", "extent": 0, "params": "theta", "reduction": 4},
    {"name": "ge", "extent": 2, "params": "theta_minus", "reduction": 4},
    {"name": "ge", "extent": 4, "params": "theta_plus", "reduction": 4},
    {"name": "se", "reduction": 4},
    "eca",
    {"name": "cbam", "reduction": 4},
    {"name": "simam", "e_lambda": 0.5},
    "gct",
    {"name": "gct", "mode": "l1", "epsilon": 0.5},
    {"name": "fca", "reduction": 4},
    {"name": "fca", "frequencies": "bot8", "reduction": 4, "size": 7},
]
SPECS = EVERY_SPEC if keras.config.backend() == "tensorflow" else CORE_SPECS

# One of each kind, for the checks that are slow. In whole networks the second line has nothing that
# the first has not: no statistics of the batch, no size of their own.
FIRST = ["srm", "se", "ge", "eca", "cbam"]
NAMES = [*FIRST, "simam", "gct", "fca"]


def every_module(*by_default: str | None) -> list:
    """Parameters None and all of ``NAMES``; those that are not named here are marked ``slow``."""
    return [
        pytest.param(module, marks=[] if module in by_default else pytest.mark.slow)
        for module in (None, *NAMES)
    ]


def specs_in_time() -> list:
    """Parameters of all of ``SPECS``; but one of each kind of arithmetic they are marked ``slow``.

    For checks of what does not change from option to option.
    """
    specs = [*SPECS, *(spec for spec in CORE_SPECS if spec not in SPECS)]
    return [
        pytest.param(spec, marks=[] if spec in CORE_SPECS else pytest.mark.slow) for spec in specs
    ]


def spec_id(spec) -> str:
    """A readable name for a parametrized test."""
    if not isinstance(spec, dict):
        return str(spec)
    options = [f"{key}={value}" for key, value in spec.items() if key != "name"]
    return "-".join([spec["name"], *options]).replace(" ", "").replace("'", "")


def needs_static_size(spec) -> bool:
    """Whether the module cannot be built for an unknown height and width."""
    if spec == "ge":
        return True
    return (
        isinstance(spec, dict)
        and spec["name"] == "ge"
        and spec.get("extent", 0) == 0
        and spec.get("params", "theta") != "theta_minus"
    )


def is_spatial(spec) -> bool:
    """Whether the gates differ from pixel to pixel."""
    options = {"name": spec} if isinstance(spec, str) else spec
    return options["name"] in ("cbam", "simam") or bool(options.get("extent", 0))
