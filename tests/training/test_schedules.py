import keras
import pytest

from srm_keras.training import default_recipe
from srm_keras.training.schedules import (
    OneCycle,
    StepDecay,
    WarmRestarts,
    WarmUp,
    cosine_decay,
    make_schedule,
)


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def of_recipe(**fields):
    recipe = default_recipe()
    recipe.update_from_flattened_dict(fields)
    return make_schedule(recipe)


def of_torch(name, count, base=0.4, **options):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_step_decay_without_milestones_is_constant():
    assert rates(StepDecay(0.3), [0, 1, 10_000]) == pytest.approx([0.3] * 3)


STEPS = 21
CYCLE = {"max_lr": 0.4, "total_steps": STEPS, "cycle_momentum": False}
TORCH = [
    (
        {"schedule": "step", "milestones": (2, 5), "factor": 0.3},
        "MultiStepLR",
        {"milestones": [2, 5], "gamma": 0.3},
    ),
    (
        {"schedule": "cosine", "end_factor": 0.1},
        "CosineAnnealingLR",
        {"T_max": STEPS, "eta_min": 0.04},
    ),
    (
        {"schedule": "polynomial", "power": 2.5},
        "PolynomialLR",
        {"total_iters": STEPS, "power": 2.5},
    ),
    (
        {"schedule": "polynomial", "end_factor": 0.25},
        "LinearLR",
        {"start_factor": 1, "end_factor": 0.25, "total_iters": STEPS},
    ),
    (
        {"schedule": "restarts", "cycle_steps": 4, "end_factor": 0.1},
        "CosineAnnealingWarmRestarts",
        {"T_0": 4, "T_mult": 2, "eta_min": 0.04},
    ),
    (
        {"schedule": "restarts", "cycle_steps": 5, "cycle_factor": 1},
        "CosineAnnealingWarmRestarts",
        {"T_0": 5},
    ),
    ({"schedule": "one_cycle"}, "OneCycleLR", {**CYCLE, "final_div_factor": 1e30}),
    (
        {"schedule": "one_cycle", "rise_steps": 8, "start_factor": 0.1, "end_factor": 0.02},
        "OneCycleLR",
        {**CYCLE, "pct_start": 8 / STEPS, "div_factor": 10, "final_div_factor": 5},
    ),
]


@pytest.mark.parametrize(("fields", "name", "options"), TORCH, ids=lambda value: str(value)[:40])
def test_schedules_of_recipes_equal_torch(fields, name, options):
    fields = {f"learning_rate.{field}": value for field, value in fields.items()}
    fields |= {"learning_rate.base": 0.1, "learning_rate.reference_batch_size": 32, "steps": STEPS}
    expected = of_torch(name, STEPS, **options)
    assert rates(of_recipe(**fields), range(STEPS)) == pytest.approx(expected, rel=1e-5, abs=1e-7)
    ramp = [min(1, (k + 1) / 6) for k in range(STEPS)]
    warmed = rates(of_recipe(**fields, **{"learning_rate.warmup_steps": 6}), range(STEPS))
    expected = [rate * scale for rate, scale in zip(expected, ramp, strict=True)]
    assert warmed == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("first", "factor"), [(1, 2), (7, 2), (3, 3), (2502, 1)])
def test_no_restart_comes_late(first, factor):
    """Keras' own is an update late at some: number 13 of cycles that double, for one."""
    schedule = WarmRestarts(0.4, first, factor, cycle_decay=0.5)
    begin, length = 0, first
    for cycle in range(16):
        height = 0.4 * 0.5**cycle
        assert rates(schedule, [begin]) == pytest.approx([height], rel=1e-5), cycle
        if length > 100:  # so near to the end of the cycle that little is left
            assert rates(schedule, [begin - 1 + length])[0] < 1e-3 * height
        begin, length = begin + length, length * factor


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_one_cycle_of_few_updates_has_its_highest_rate_among_them(steps):
    found = rates(of_recipe(steps=steps, **{"learning_rate.schedule": "one_cycle"}), range(steps))
    assert found == pytest.approx([0.1, 0.05, 0][:steps] if steps == 3 else [0.1, 0][:steps])


def test_cosine_decay():
    # cos(0) = 1, cos(pi/3) = 1/2, cos(pi/2) = 0, cos(pi) = -1
    schedule = cosine_decay(0.4, steps=6)
    assert rates(schedule, [0, 2, 3, 6, 9]) == pytest.approx([0.4, 0.3, 0.2, 0, 0], abs=1e-7)


def test_warm_up_scales_the_schedule_below_it():
    schedule = WarmUp(StepDecay(0.8, milestones=(2,)), warmup_steps=4)
    expected = [0.2, 0.4, 0.06, 0.08, 0.08, 0.08]
    assert rates(schedule, range(6)) == pytest.approx(expected)


def test_the_rate_scales_with_the_batch_on_request():
    fields = {"batch_size": 64, "learning_rate.base": 0.1}
    assert rates(of_recipe(**fields), [0]) == pytest.approx([0.1])
    fields["learning_rate.reference_batch_size"] = 256
    assert rates(of_recipe(**fields), [0]) == pytest.approx([0.025])
    assert rates(of_recipe(**fields, **{"learning_rate.schedule": "cosine"}), [0]) == pytest.approx(
        [0.025]
    )


def test_the_papers_schedule():
    fields = {"steps": 64_000, "learning_rate.base": 0.2}
    fields["learning_rate.milestones"] = (32_000, 48_000)
    steps = (0, 31_999, 32_000, 47_999, 48_000, 63_999)
    expected = [0.2, 0.2, 0.02, 0.02, 0.002, 0.002]
    assert rates(of_recipe(**fields), steps) == pytest.approx(expected)


@pytest.mark.parametrize("rise_steps", [0, 10.5, float("nan")])
def test_one_cycle_rises_within_its_steps(rise_steps):
    with pytest.raises(ValueError, match=r"`rise_steps` must be positive and at most steps=10"):
        OneCycle(0.1, 10, rise_steps)


def test_warm_up_needs_a_positive_number_of_steps():
    with pytest.raises(ValueError, match=r"`warmup_steps` must be a positive.*warmup_steps=0"):
        WarmUp(StepDecay(0.1), warmup_steps=0)


@pytest.mark.parametrize(
    "schedule",
    [
        StepDecay(0.2, (3, 6), 0.5),
        WarmUp(StepDecay(0.2, (3,)), 2),
        WarmUp(cosine_decay(1.0, 9, 0.1), 4),
        WarmRestarts(0.2, 2, 2, 0.5, 0.1),
        OneCycle(0.2, 9, 3.5, 0.2, 0.1),
    ],
)
def test_schedules_survive_serialization(schedule):
    config = keras.optimizers.schedules.serialize(schedule)
    restored = keras.optimizers.schedules.deserialize(config)
    assert rates(restored, range(10)) == rates(schedule, range(10))
