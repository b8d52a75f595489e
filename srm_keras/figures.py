"""What all figures of the package share."""

import os

from matplotlib.figure import Figure

from srm_keras.files import write_atomically

# Okabe and Ito's colours, told apart by colour-blind readers too.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def save_figure(figure: Figure, path: str | os.PathLike) -> None:
    """Write ``figure`` to ``path``, in the format of its suffix, all of it or none."""
    write_atomically(path, lambda temporary: figure.savefig(temporary))
