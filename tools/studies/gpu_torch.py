"""Training steps of PyTorch for the study of a GPU: the same networks, and timm's."""

import importlib.util
from typing import Any

import torch

from tests.support.torch_resnet import TorchResNet
from tools.studies.timed_steps import Network, Program

KINDS = {
    "plain": "torchvision",
    "se": "authors_se",
    "srm": "authors_srm",
    "ge": "authors_ge",
    "eca": "timm_eca",
}
"""Modules that PyTorch's networks have here, and what they are called there."""
TIMM = {"plain": "resnet50", "se": "seresnet50"}
"""Modules that timm's ResNet-50 has."""


def has_timm() -> bool:
    """Whether timm is installed."""
    return importlib.util.find_spec("timm") is not None


def training_program(
    network: Network, framework: str, module: str, least_ms: float, compiler: str = "inductor"
) -> Program:
    """An update in bfloat16 by autocast, channels last: SGD with Nesterov's momentum.

    Args:
        network: What is trained.
        framework: ``"torch"`` or ``"timm"``, of the network; with ``" compiled"`` behind it where
            ``torch.compile`` takes it.
        module: A key of ``KINDS``, or of ``TIMM``.
        least_ms: See ``Program.of``.
        compiler: The backend of ``torch.compile``.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    before = _allocated(device)
    layout: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
    model = _built(network, framework.removesuffix(" compiled"), module).to(**layout).train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, nesterov=True)
    call = torch.compile(model, backend=compiler) if framework.endswith("compiled") else model
    images, labels = map(torch.as_tensor, network.images())
    images = images.permute(0, 3, 1, 2).to(**layout)
    labels = labels.to(device, torch.int64)

    def update() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(call(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    program = Program.of(update, lambda loss: loss.item(), None, least_ms)
    return Program(program.step, program.repetitions, _peak(device, before, update))


def _built(network: Network, framework: str, module: str) -> torch.nn.Module:
    if framework == "timm":
        import timm

        return timm.create_model(TIMM[module], num_classes=network.classes)
    planes = 64 if len(network.blocks) == 4 else 16
    size = (network.classes, network.side)
    return TorchResNet("bottleneck", network.blocks, KINDS[module], *size, planes=planes)


def _allocated(device: torch.device) -> int:
    return torch.cuda.memory_allocated() if device.type == "cuda" else 0


def _peak(device: torch.device, before: int, update: Any) -> int | None:
    """Bytes that the network, its optimizer and an update have at their peak; unknown on a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats()
    update().item()
    peak = torch.cuda.max_memory_allocated() - before
    torch.cuda.empty_cache()
    return peak
