"""Values of flags that several tools have."""

from collections.abc import Sequence

from srm_keras.analysis.pruning.curve import check_ratios


def ratios_of(texts: Sequence[str]) -> list[float]:
    """Return the numbers of a flag ``--ratios``.

    Raises:
        ValueError: they are no numbers, or do not ascend from 0 to at most 1.
    """
    try:
        ratios = [float(text) for text in texts]
    except ValueError:
        raise ValueError(
            f"`--ratios` must be numbers, as 0,0.5,1. Received: {','.join(texts)}"
        ) from None
    check_ratios(ratios)
    return ratios
