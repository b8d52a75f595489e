"""The numbers of the SRM paper, as printed there.

Source: Lee, Kim, Nam, *SRM: A Style-based Recalibration Module for Convolutional Neural Networks*,
ICCV 2019.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ImageNetResult:
    """A row of table 1: ImageNet-1K, 224×224. What it calls FLOPs are multiply-adds.

    ``network`` is the name that ``srm_keras.models.build`` knows it by; accuracies are in %.
    """

    model: str
    network: str
    params_millions: float
    gflops: float
    top1: float
    top5: float


@dataclasses.dataclass(frozen=True)
class CifarResult:
    """A cell of table 2: its "ResNet-56" on CIFAR-10 or CIFAR-100, 32×32; accuracy in %."""

    model: str
    recalibration: str | None
    classes: int
    params_millions: float
    top1: float


TABLE_1 = (
    ImageNetResult("ResNet-50", "resnet50", 25.56, 3.86, 75.89, 92.85),
    ImageNetResult("SE-ResNet-50", "se_resnet50", 28.09, 3.87, 76.80, 93.39),
    ImageNetResult("GE-ResNet-50", "ge_resnet50", 31.12, 3.87, 76.75, 93.41),
    ImageNetResult("SRM-ResNet-50", "srm_resnet50", 25.62, 3.88, 77.13, 93.51),
    ImageNetResult("ResNet-101", "resnet101", 44.55, 7.58, 77.40, 93.59),
    ImageNetResult("SE-ResNet-101", "se_resnet101", 49.33, 7.60, 78.08, 93.95),
    ImageNetResult("GE-ResNet-101", "ge_resnet101", 53.58, 7.60, 77.36, 93.64),
    ImageNetResult("SRM-ResNet-101", "srm_resnet101", 44.68, 7.62, 78.47, 94.20),
)

TABLE_2 = (
    CifarResult("Baseline", None, 10, 0.87, 93.77),
    CifarResult("SE", "se", 10, 0.97, 94.60),
    CifarResult("GE", "ge", 10, 1.91, 94.32),
    CifarResult("SRM", "srm", 10, 0.89, 95.05),
    CifarResult("Baseline", None, 100, 0.89, 74.76),
    CifarResult("SE", "se", 100, 0.99, 76.10),
    CifarResult("GE", "ge", 100, 1.94, 76.02),
    CifarResult("SRM", "srm", 100, 0.91, 76.93),
)
