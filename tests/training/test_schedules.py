import keras
import pytest

from srm_keras.training.schedules import StepDecay, WarmUp, cosine_decay


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_step_decay_drops_at_the_milestones():
    # The paper's CIFAR recipe: 0.2, divided by 10 at iterations 32,000 and 48,000.
    schedule = StepDecay(0.2, milestones=(32_000, 48_000))
    steps = [0, 31_999, 32_000, 47_999, 48_000, 63_999]
    assert rates(schedule, steps) == pytest.approx([0.2, 0.2, 0.02, 0.02, 0.002, 0.002])


def test_step_decay_without_milestones_is_constant():
    assert rates(StepDecay(0.3), [0, 1, 10_000]) == pytest.approx([0.3] * 3)


def test_step_decay_equals_torch():
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.5)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5], gamma=0.3)
    expected = []
    for _ in range(8):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    schedule = StepDecay(0.5, milestones=(2, 5), factor=0.3)
    assert rates(schedule, range(8)) == pytest.approx(expected)


def test_cosine_decay():
    # cos(0) = 1, cos(pi/3) = 1/2, cos(pi/2) = 0, cos(pi) = -1
    schedule = cosine_decay(0.4, steps=6)
    assert rates(schedule, [0, 2, 3, 6, 9]) == pytest.approx([0.4, 0.3, 0.2, 0, 0], abs=1e-7)


def test_warm_up_scales_the_schedule_below_it():
    schedule = WarmUp(StepDecay(0.8, milestones=(2,)), warmup_steps=4)
    expected = [0.2, 0.4, 0.06, 0.08, 0.08, 0.08]
    assert rates(schedule, range(6)) == pytest.approx(expected)


def test_warm_up_needs_a_positive_number_of_steps():
    with pytest.raises(ValueError, match=r"`warmup_steps` must be a positive.*warmup_steps=0"):
        WarmUp(StepDecay(0.1), warmup_steps=0)


@pytest.mark.parametrize(
    "schedule",
    [StepDecay(0.2, (3, 6), 0.5), WarmUp(StepDecay(0.2, (3,)), 2), WarmUp(cosine_decay(1.0, 9), 4)],
)
def test_schedules_survive_serialization(schedule):
    config = keras.optimizers.schedules.serialize(schedule)
    restored = keras.optimizers.schedules.deserialize(config)
    assert rates(restored, range(10)) == rates(schedule, range(10))
