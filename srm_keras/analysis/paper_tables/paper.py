"""The tables and figures of the SRM paper, as printed there.

Source: Lee, Kim, Nam, *SRM: A Style-based Recalibration Module for Convolutional Neural Networks*,
ICCV 2019.

Source: Lee et al. 2019, sections 4 and 5.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

RESNET_32, RESNET_56 = "cifar_resnet32_bottleneck", "cifar_resnet56_bottleneck"
HELD_OUT = "held_out"

CLASSES = {
    "cifar10": 10,
    "cifar100": 100,
    "dtd": 47,
    "imagenet": 1000,
    "office_home": 65,
    "stylized_imagenet": 1000,
}
DOMAINS = {"Ar": "Art", "Cl": "Clipart", "Pr": "Product", "Rw": "Real World"}


@dataclasses.dataclass(frozen=True)
class PaperResult:
    """A trained network in a table of the paper, and the experiment that would reproduce it.

    Attributes:
        row: The label of its row, as printed.
        column: The heading of its columns, as printed; empty where all share one.
        dataset: What it was trained on, by the name that ``srm_keras.data`` has for it.
        network: The name that ``srm_keras.models.build`` has for it, without the module.
        recalibration: The spec of the module.
        split: What it was evaluated on; ``"held_out"`` is the mean over the folds.
        top1: Accuracy in %.
        top5: Accuracy in %, where the table has it.
        domain: Of Office-Home, ``"mean"`` for the mean over its domains; None elsewhere.
        params_millions: Where the table has them.
        gflops: Where the table has them; they are multiply-adds.
    """

    row: str
    column: str
    dataset: str
    network: str
    recalibration: Any
    split: str
    top1: float
    top5: float | None = None
    domain: str | None = None
    params_millions: float | None = None
    gflops: float | None = None

    @property
    def classes(self) -> int:
        """Number of classes of the data set."""
        return CLASSES[self.dataset]


@dataclasses.dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    Attributes:
        number: Of the table.
        title: What it compares.
        question: What it asks, to which other data may give an answer too.
        results: Its numbers.
    """

    number: int
    title: str
    question: str
    results: tuple[PaperResult, ...]

    @property
    def has_top5(self) -> bool:
        """Whether it has top-5 accuracies."""
        return any(result.top5 for result in self.results)

    @property
    def columns(self) -> list[str]:
        """The headings of the columns with accuracies, in order."""
        return list(dict.fromkeys(result.column for result in self.results))


def _imagenet(row: str, network: str, module: str | None, *numbers: float) -> PaperResult:
    params, gflops, top1, top5 = numbers
    return PaperResult(
        row,
        "",
        "imagenet",
        network,
        module,
        "val",
        top1,
        top5,
        params_millions=params,
        gflops=gflops,
    )


TABLE_1 = (
    _imagenet("ResNet-50", "resnet50", None, 25.56, 3.86, 75.89, 92.85),
    _imagenet("SE-ResNet-50", "resnet50", "se", 28.09, 3.87, 76.80, 93.39),
    _imagenet("GE-ResNet-50", "resnet50", "ge", 31.12, 3.87, 76.75, 93.41),
    _imagenet("SRM-ResNet-50", "resnet50", "srm", 25.62, 3.88, 77.13, 93.51),
    _imagenet("ResNet-101", "resnet101", None, 44.55, 7.58, 77.40, 93.59),
    _imagenet("SE-ResNet-101", "resnet101", "se", 49.33, 7.60, 78.08, 93.95),
    _imagenet("GE-ResNet-101", "resnet101", "ge", 53.58, 7.60, 77.36, 93.64),
    _imagenet("SRM-ResNet-101", "resnet101", "srm", 44.68, 7.62, 78.47, 94.20),
)

TABLE_2 = tuple(
    PaperResult(
        row,
        f"CIFAR-{classes}",
        f"cifar{classes}",
        RESNET_56,
        module,
        "test",
        top1,
        None,
        None,
        params,
    )
    for classes, cells in (
        (
            10,
            (
                ("Baseline", None, 0.87, 93.77),
                ("SE", "se", 0.97, 94.60),
                ("GE", "ge", 1.91, 94.32),
                ("SRM", "srm", 0.89, 95.05),
            ),
        ),
        (
            100,
            (
                ("Baseline", None, 0.89, 74.76),
                ("SE", "se", 0.99, 76.10),
                ("GE", "ge", 1.94, 76.02),
                ("SRM", "srm", 0.91, 76.93),
            ),
        ),
    )
    for row, module, params, top1 in cells
)

TABLE_3 = tuple(
    PaperResult(row, column, "stylized_imagenet", "resnet50", module, split, top1, top5)
    for row, module, stylized, original in (
        ("Baseline", None, (53.93, 76.75), (56.11, 79.17)),
        ("SE", "se", (58.31, 80.80), (60.15, 82.54)),
        ("SRM", "srm", (60.69, 82.56), (62.12, 84.06)),
    )
    for column, split, (top1, top5) in (
        ("Stylized-ImageNet", "val", stylized),
        ("ImageNet", "imagenet_val", original),
    )
)

TABLE_4 = tuple(
    PaperResult(
        *(row, column, "office_home", "resnet18", module, HELD_OUT, top1),
        domain=DOMAINS.get(column, "mean"),
    )
    for row, module, accuracies in (
        ("Baseline", None, (37.49, 60.73, 72.81, 52.12, 55.47)),
        ("SE", "se", (39.55, 62.75, 75.60, 55.52, 58.36)),
        ("SRM", "srm", (40.50, 64.97, 76.12, 56.30, 59.47)),
    )
    for column, top1 in zip((*DOMAINS, "Avg."), accuracies, strict=True)
)

TABLE_5 = tuple(
    PaperResult(row, column, "dtd", network, module, HELD_OUT, top1, top5)
    for row, module, resnet32, resnet56 in (
        ("Baseline", None, (44.96, 73.85), (45.46, 75.54)),
        ("SE", "se", (45.20, 75.60), (48.63, 77.40)),
        ("SRM", "srm", (46.50, 76.63), (50.44, 79.37)),
    )
    for column, network, (top1, top5) in (
        ("ResNet-32", RESNET_32, resnet32),
        ("ResNet-56", RESNET_56, resnet56),
    )
)


def _ablation(row: str, module: Any, top1: float) -> PaperResult:
    return PaperResult(row, "", "imagenet", "resnet50", module, "val", top1)


def _srm(**options: Any) -> Mapping[str, Any]:
    return {"name": "srm", **options}


TABLE_6 = (
    _ablation("ResNet-50 (baseline)", None, 75.89),
    _ablation("ResNet-50 + AvgPool", _srm(pooling=["avg"]), 76.58),
    _ablation("ResNet-50 + StdPool", _srm(pooling=["std"]), 76.61),
    _ablation("ResNet-50 + MaxPool", _srm(pooling=["max"]), 75.87),
    _ablation("ResNet-50 + AvgPool + MaxPool", _srm(pooling=["avg", "max"]), 76.35),
    _ablation("ResNet-50 + AvgPool + StdPool (SRM)", "srm", 77.13),
)

TABLE_7 = (
    _ablation("ResNet-50 + SP + MLP", _srm(integration="mlp", batch_norm=False), 76.75),
    _ablation("ResNet-50 + SP + MLP + BN", _srm(integration="mlp"), 76.68),
    _ablation("ResNet-50 + SP + CFC", _srm(batch_norm=False), 76.91),
    _ablation("ResNet-50 + SP + CFC + BN (SRM)", "srm", 77.13),
)

TABLES = (
    PaperTable(1, "ImageNet-1K, 224×224", "plain recognition", TABLE_1),
    PaperTable(2, 'CIFAR-10 and CIFAR-100, "ResNet-56"', "plain recognition", TABLE_2),
    PaperTable(3, "Trained on Stylized-ImageNet, ResNet-50", "styles that are a nuisance", TABLE_3),
    PaperTable(4, "Office-Home, ResNet-18, mean over five folds", "several domains", TABLE_4),
    PaperTable(5, "Describable Textures, mean over five folds", "texture recognition", TABLE_5),
    PaperTable(6, "Pooling methods, ImageNet-1K", "which statistics describe a style", TABLE_6),
    PaperTable(7, "Integration methods, ImageNet-1K", "how statistics become gates", TABLE_7),
)


@dataclasses.dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper.

    Attributes:
        number: Of the figure.
        title: What it shows, on which network and data.
        claim: What the text reads off it.
        data: The JSON file of an analysis that answers it; empty for training curves, or where
            nothing here does.
        pictures: Patterns of the names of that analysis' pictures.
    """

    number: int
    title: str
    claim: str
    data: str = ""
    pictures: tuple[str, ...] = ()


# "The total sum of squared correlation coefficients throughout the whole network" (section 5.3),
# ResNet-56 on DTD.
SQUARED_CORRELATIONS = {"se": 420_509, "srm": 143_909}

# Channel weights of that network, nine blocks each of 64, 128 and 256, and the coefficients in the
# correlation matrices of all blocks.
CHANNELS = 9 * (64 + 128 + 256)
COEFFICIENTS = 9 * (64**2 + 128**2 + 256**2)

# Blocks whose top-activated images and correlation matrices are shown.
FIGURE_7_BLOCK = "conv2_6"
FIGURE_10_BLOCKS = ("conv2_5", "conv3_6", "conv4_4", "conv4_5", "conv4_6")

# Section 5.2: stage 1 has no module, so figure 6 begins with stage 2.
FIGURE_6_STAGES = ("conv2", "conv3", "conv4", "conv5")

FIGURES = (
    PaperFigure(
        3,
        "Training and validation curves, ResNet-50, ImageNet-1K",
        "SRM is above SE and GE throughout the training, on training and validation images.",
    ),
    PaperFigure(
        4,
        "Examples of style transfer",
        "BN+SRM comes close to instance normalization, BN+SE does not.",
        "style_transfer.json",
        ("grid.png",),
    ),
    PaperFigure(
        5,
        "Style and content loss of style transfer, Rain Princess",
        "BN+SRM reaches almost the losses of instance normalization, BN+SE much higher ones.",
        "style_transfer.json",
        ("curves.png",),
    ),
    PaperFigure(
        6,
        "Accuracy after pruning channels by stage, ResNet-50, ImageNet-1K",
        "Throughout all stages accuracy drops noticeably slower with SRM than with SE and GE.",
        "pruning.json",
        ("pruning*.png",),
    ),
    PaperFigure(
        7,
        "Top-activated images of each channel, conv2_6 (64 channels) of ResNet-56, DTD",
        "With SE the images overlap highly across channels, with SRM they are more diverse.",
        "diversity.json",
        ("diversity*.png", "top_*.png"),
    ),
    PaperFigure(
        8,
        "Correlation of channel weights, conv2_6 of ResNet-56, DTD",
        "Squared correlation coefficients over the whole network sum up to "
        f"{SQUARED_CORRELATIONS['se']:,} with SE and {SQUARED_CORRELATIONS['srm']:,} with SRM, "
        "almost three times less.",
        "correlation.json",
        ("correlation*.png",),
    ),
    PaperFigure(
        9,
        "More examples of style transfer",
        "BN blurs borders and leaves artefacts, BN+SE fewer; BN+SRM is comparable to IN.",
        "style_transfer.json",
        ("grid.png",),
    ),
    PaperFigure(
        10,
        "Figures 7 and 8 for conv2_5, conv3_6, conv4_4, conv4_5 and conv4_6",
        "As figures 7 and 8.",
        "diversity.json",
    ),
)
