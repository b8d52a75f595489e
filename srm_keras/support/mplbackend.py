"""Makes Matplotlib importable whatever MPLBACKEND says; before Keras, which imports it, is.

A notebook hands the name of its own backend down to the commands that it starts, and Matplotlib
refuses to be imported where that one is not installed. Nothing here needs it: ``figures`` draws
into files by Agg. A backend that is installed stays the user's choice.
"""

import contextlib
import os
import sys


def _choose_backend() -> None:
    if not os.environ.get("MPLBACKEND") or "matplotlib" in sys.modules:
        return
    chosen = os.environ.pop("MPLBACKEND")
    with contextlib.suppress(ImportError):  # without Matplotlib there is nothing to choose
        import matplotlib

        try:
            matplotlib.rcParams["backend"] = chosen
        except ValueError:
            chosen = "agg"
    os.environ["MPLBACKEND"] = chosen


_choose_backend()
