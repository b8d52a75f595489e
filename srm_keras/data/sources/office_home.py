"""Office-Home (Venkateswara et al. 2017): 15,588 images of 65 objects in four visual domains."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from srm_keras.data import checks
from srm_keras.data.examples import Examples
from srm_keras.data.sources.image_folder.layout import ImageList, files_by_class
from srm_keras.data.sources.image_folder.source import as_examples
from srm_keras.support.validation import one_of

URL = "https://www.hemanthdv.org/officeHomeDataset.html"
DOMAINS = ("Art", "Clipart", "Product", "Real World")


def load_examples(split: str, *, data_dir: str | os.PathLike | None = None) -> Examples:
    """Lists Office-Home, its four domains together.

    Args:
        split: ``"all"``; the data set has no split of its own: see ``srm_keras.data.k_folds``.
        data_dir: The folder that holds ``Art``, ``Clipart``, ``Product`` and ``Real World``, each
            with a folder of images for every class.

    Returns:
        The ``Examples``, whose images are paths, in the order of their names, with ``domains``.
        Every file has been decoded once.

    Raises:
        ValueError: If the split is unknown, the data is missing (it says how to get it), the
            domains' classes differ, or files are corrupt.
    """
    one_of("split", split, ("all",))
    root = checks.folder_of(
        "data_dir",
        data_dir,
        DOMAINS,
        f"Office-Home's folder, with {', '.join(DOMAINS)}. Download it from {URL}, extract it, and "
        "name the folder",
    )
    by_domain = {domain: files_by_class(root / domain) for domain in DOMAINS}
    class_names = _class_names(by_domain, root)
    files = [
        (path, label)
        for domain in DOMAINS
        for label, name in enumerate(class_names)
        for path in sorted(by_domain[domain][name])
    ]
    images = ImageList(tuple(path for path, _ in files), tuple(y for _, y in files), class_names)
    examples = as_examples("office_home", split, images, root, verify=True)
    domains = [path.relative_to(root).parts[0] for path in images.paths]
    return replace(examples, domains=np.array(domains))


def _class_names(by_domain: dict[str, dict[str, list[Path]]], root: Path) -> tuple[str, ...]:
    """The classes, which every domain must have, each with an image."""
    names = sorted(set().union(*by_domain.values()))
    lacking = [
        f"{domain}/{name}"
        for domain, classes in by_domain.items()
        for name in names
        if not classes.get(name)
    ]
    if lacking or not names:
        raise ValueError(
            f"Every domain in {root} must have images of every class. "
            f"Received: none in {', '.join(lacking) or 'any'}"
        )
    return tuple(names)
