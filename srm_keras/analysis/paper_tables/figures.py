"""The figures of the SRM paper, the numbers that its text gives about them, and what answers them.

Source: Lee et al. 2019, sections 4 and 5.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper.

    Attributes:
        number: of the figure.
        title: what it shows, on which network and data.
        claim: what the text reads off it.
        data: the JSON file of an analysis that answers it; empty for training curves, or where
            nothing here does.
        pictures: patterns of the names of that analysis' pictures.
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
