"""Files of the Hugging Face Hub, kept in its own cache, and timm's networks from there."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from srm_keras.data.preprocessing import INTERPOLATIONS, Preprocessing
from srm_keras.data.sources.imagenet import CLASS_NAMES
from srm_keras.interop.cards import file_facts
from srm_keras.interop.pytorch import from_timm, list_timm
from srm_keras.models.head import image_shape
from srm_keras.models.weights import Trained
from srm_keras.support.files import read_json
from srm_keras.support.validation import nearest

PREFIX = "hf://"
TIMM = "timm/"
_REPOSITORY = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"


def download(reference: str, names: Iterable[str], known: str = "") -> Path:
    """Bring the files of a repository to the local cache.

    Args:
        reference: ``hf://USER/REPOSITORY`` or ``timm/MODEL.TAG``, with ``@REVISION`` for a commit,
            tag or branch. Only a commit is the same for ever.
        names: Of the files; no others are read.
        known: What else there is, for the error.

    Returns:
        The folder with the files.

    Raises:
        ValueError: ``reference`` is of another form, or the repository cannot be read.
        ImportError: huggingface_hub is not installed.
    """
    names = list(names)
    match = _REPOSITORY.fullmatch(reference.removeprefix(PREFIX))
    if match is None:
        raise ValueError(
            "`source` must have the form hf://USER/REPOSITORY or hf://USER/REPOSITORY@REVISION. "
            f"Received: source={reference!r}"
        )
    try:
        from huggingface_hub import constants, snapshot_download
    except ImportError as error:
        raise ImportError(
            f"{reference} needs the package huggingface_hub. "
            "Install it with: pip install huggingface-hub"
        ) from error
    try:
        folder = snapshot_download(match["repo"], revision=match["revision"], allow_patterns=names)
    except Exception as error:  # Those of the network and the repository share no class.
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        where = f"{constants.HF_HUB_CACHE} and at {constants.ENDPOINT}/{match['repo']}"
        raise ValueError(
            f"{reference} cannot be read: looked for in {where} ({reason.rstrip('.')}){known}"
        ) from None
    return Path(folder)


def list_timm_weights() -> list[str]:
    """Return the names ``timm/MODEL.TAG`` of trained networks that can be read, sorted.

    There may be newer ones on the Hub, which are read as well.
    """
    return sorted(f"{TIMM}{model}.{tag}" for model in TAGS for tag in TAGS[model].split())


def read_timm(name: str) -> Trained:
    """Return a trained network of timm with its preprocessing and class names.

    Args:
        name: ``timm/MODEL.TAG``, or ``timm/MODEL.TAG@REVISION``.

    Raises:
        ValueError: There is no such network here, its repository cannot be read, or it is damaged.
        ImportError: Huggingface_hub or safetensors is not installed.
    """
    network, _, tag = name.removeprefix(TIMM).partition(".")
    if network not in list_timm() or not tag:
        similar = [one for one in list_timm_weights() if one.startswith(f"{TIMM}{network}.")]
        raise ValueError(
            f"`weights` must be timm/MODEL.TAG with one of the {len(list_timm())} models that can "
            f"be read here; `srm-keras models 'timm/*'` lists them. Received: {name!r}"
            f"{nearest(name, similar or list_timm_weights())}"
        )
    known = f"; known of {network}: {TAGS.get(network, 'none')}"
    folder = download(name, (_WEIGHTS, _CONFIG), known)
    missing = [file for file in (_WEIGHTS, _CONFIG) if not (folder / file).is_file()]
    if missing:
        raise ValueError(f"{name} cannot be read: {folder} lacks {' and '.join(missing)}{known}")
    return timm_network(network, folder / _WEIGHTS, folder / _CONFIG, name)


def timm_network(network: str, weights: Path, config: Path, name: str) -> Trained:
    """Return timm's ``network`` with the weights of a file, as its ``config.json`` describes it."""
    described = read_json(config)
    settings = described.get("pretrained_cfg", described)
    preprocessing = timm_preprocessing(settings, name)
    size = preprocessing.image_size
    model = from_timm(network, weights, input_shape=image_shape(size, preprocessing.channels))
    card = {"timm": name, "license": settings.get("license"), **file_facts(weights)}
    classes = _classes(settings, model.output_shape[-1])
    return Trained(model, name, card["sha256"], preprocessing, classes, card)


def timm_preprocessing(settings: Mapping[str, Any], name: str) -> Preprocessing:
    """Return timm's evaluation of images, as its ``pretrained_cfg`` has it.

    Raises:
        ValueError: It asks for what there is not here: images that are not square, or another crop
            than the middle.
    """
    channels, height, width = settings.get("input_size", (3, 224, 224))
    crop, method = settings.get("crop_mode", "center"), settings.get("interpolation", "bilinear")
    if height != width or crop != "center" or method not in INTERPOLATIONS:
        raise ValueError(
            f"{name} must read the middle of square images. Received: input_size="
            f"{settings.get('input_size')}, crop_mode={crop!r}, interpolation={method!r}"
        )
    return Preprocessing(
        image_size=height,
        channels=channels,
        resize=int(height / settings.get("crop_pct", 0.875)),
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        interpolation=method,
    )


def _classes(settings: Mapping[str, Any], count: int) -> tuple[str, ...] | None:
    """The names that the repository gives, or ImageNet's for a thousand classes."""
    names = settings.get("label_names")
    if names and len(names) == count:
        return tuple(map(str, names))
    return CLASS_NAMES if count == len(CLASS_NAMES) else None


TAGS = {
    "resnet10t": "c3_in1k",
    "resnet14t": "c3_in1k",
    "resnet18": (
        "a1_in1k a2_in1k a3_in1k tv_in1k fb_ssl_yfcc100m_ft_in1k fb_swsl_ig1b_ft_in1k gluon_in1k"
    ),
    "resnet18d": "ra2_in1k ra4_e3600_r224_in1k",
    "resnet34": "a1_in1k a2_in1k a3_in1k bt_in1k ra4_e3600_r224_in1k tv_in1k gluon_in1k",
    "resnet34d": "ra2_in1k",
    "resnet26": "bt_in1k",
    "resnet26d": "bt_in1k",
    "resnet26t": "ra2_in1k",
    "resnet50": (
        "a1_in1k a1h_in1k a2_in1k a3_in1k b1k_in1k b2k_in1k c1_in1k c2_in1k d_in1k ram_in1k "
        "am_in1k ra_in1k bt_in1k tv_in1k tv2_in1k bamboo fb_ssl_yfcc100m_ft_in1k "
        "fb_swsl_ig1b_ft_in1k gluon_in1k"
    ),
    "resnet50d": "ra2_in1k ra4_e3600_r224_in1k a1_in1k a2_in1k a3_in1k gluon_in1k",
    "resnet101": "a1h_in1k a1_in1k a2_in1k a3_in1k tv_in1k tv2_in1k gluon_in1k",
    "resnet101d": "ra2_in1k gluon_in1k",
    "resnet152": "a1h_in1k a1_in1k a2_in1k a3_in1k tv_in1k tv2_in1k gluon_in1k",
    "resnet152d": "ra2_in1k gluon_in1k",
    "resnet200d": "ra2_in1k",
    "wide_resnet50_2": "racm_in1k tv_in1k tv2_in1k",
    "wide_resnet101_2": "tv_in1k tv2_in1k",
    "resnext50_32x4d": (
        "a1h_in1k a1_in1k a2_in1k a3_in1k ra_in1k tv_in1k tv2_in1k fb_ssl_yfcc100m_ft_in1k "
        "fb_swsl_ig1b_ft_in1k gluon_in1k"
    ),
    "resnext50d_32x4d": "bt_in1k",
    "resnext101_64x4d": "c1_in1k tv_in1k gluon_in1k",
    "resnext101_32x8d": (
        "tv_in1k tv2_in1k fb_wsl_ig1b_ft_in1k fb_ssl_yfcc100m_ft_in1k fb_swsl_ig1b_ft_in1k"
    ),
    "resnext101_32x16d": "fb_wsl_ig1b_ft_in1k fb_ssl_yfcc100m_ft_in1k fb_swsl_ig1b_ft_in1k",
    "resnext101_32x32d": "fb_wsl_ig1b_ft_in1k",
    "resnext101_32x4d": "fb_ssl_yfcc100m_ft_in1k fb_swsl_ig1b_ft_in1k gluon_in1k",
    "ecaresnet26t": "ra2_in1k",
    "ecaresnetlight": "miil_in1k",
    "ecaresnet50d": "miil_in1k",
    "ecaresnet50t": "ra2_in1k a1_in1k a2_in1k a3_in1k",
    "ecaresnet101d": "miil_in1k",
    "ecaresnet269d": "ra2_in1k",
    "seresnet50": "a1_in1k a2_in1k a3_in1k ra2_in1k",
    "seresnet152d": "ra2_in1k",
    "seresnext26d_32x4d": "bt_in1k",
    "seresnext26t_32x4d": "bt_in1k",
    "seresnext50_32x4d": "racm_in1k gluon_in1k",
    "seresnext101_32x8d": "ah_in1k",
    "seresnext101d_32x8d": "ah_in1k",
    "resnetaa50d": "sw_in12k_ft_in1k sw_in12k d_in12k",
    "resnetaa101d": "sw_in12k_ft_in1k sw_in12k",
    "seresnextaa101d_32x8d": "sw_in12k_ft_in1k_288 sw_in12k_ft_in1k sw_in12k ah_in1k",
    "seresnextaa201d_32x8d": "sw_in12k_ft_in1k_384 sw_in12k",
    "resnetaa50": "a1h_in1k",
    "resnetrs50": "tf_in1k",
    "resnetrs101": "tf_in1k",
    "resnetrs152": "tf_in1k",
    "resnetrs200": "tf_in1k",
    "resnetrs270": "tf_in1k",
    "resnetrs350": "tf_in1k",
    "resnetrs420": "tf_in1k",
    "resnet50c": "gluon_in1k",
    "resnet101c": "gluon_in1k",
    "resnet152c": "gluon_in1k",
    "resnet50s": "gluon_in1k",
    "resnet101s": "gluon_in1k",
    "resnet152s": "gluon_in1k",
    "seresnext101_32x4d": "gluon_in1k",
    "seresnext101_64x4d": "gluon_in1k",
}
"""The tags that timm 1.0.31 has for networks of ``list_timm()``; a few have none."""
