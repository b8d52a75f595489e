"""The networks of ``keras.applications`` by name: builders, preprocessing and weights."""

import inspect
import pathlib
import warnings
from collections.abc import Callable

import keras

from srm_keras.models.head import check_finite
from srm_keras.support.files import check_no_lfs_pointer
from srm_keras.support.validation import nearest

# What `preprocess_input` of each network makes of RGB images from 0 to 255.
_NETWORKS_OF_MODE = {
    "caffe": ("vgg16", "vgg19", "resnet50", "resnet101", "resnet152"),
    "torch": ("densenet121", "densenet169", "densenet201"),
    "tf": (
        *("resnet50v2", "resnet101v2", "resnet152v2", "mobilenet", "mobilenetv2"),
        *("inceptionv3", "inceptionresnetv2", "xception", "nasnetlarge", "nasnetmobile"),
    ),
}
PREPROCESSINGS = (*_NETWORKS_OF_MODE, "none")
WEIGHTS_FILES = (".weights.h5", ".h5", ".keras")

Builder = Callable[..., keras.Model]


def application(name: str) -> Builder:
    """Return the builder of a network by its name, in any case, with or without underscores.

    Raises:
        ValueError: There is none; the message has the nearest.
    """
    builders = {
        key.lower(): value
        for key, value in vars(keras.applications).items()
        if inspect.isfunction(value)
    }
    try:
        return builders[_key(name)]
    except (KeyError, AttributeError):
        raise ValueError(
            f"`network` must be a `.keras` file or one of {sorted(builders)}. "
            f"Received: network={name!r}{nearest(name, builders)}"
        ) from None


def application_preprocessing(name: str) -> str:
    """Return what a network wants of images: one of ``PREPROCESSINGS``."""
    for mode, names in _NETWORKS_OF_MODE.items():
        if _key(name) in names:
            return mode
    return "none"  # MobileNetV3, EfficientNet, ConvNeXt: part of the network itself


def without_top(builder: Builder, weights: str | None) -> keras.Model:
    """Build a network without its classifier, for images of any size.

    Args:
        builder: From ``application``.
        weights: ``"imagenet"`` or None.

    Raises:
        ValueError: The weights cannot be downloaded.
    """
    try:
        return builder(include_top=False, weights=weights, input_shape=(None, None, 3))
    except Exception as error:  # Keras raises a bare one where a download fails
        if weights is None:
            raise
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            "`weights` 'imagenet' could not be had. Fetch the file on a machine with network "
            "access and pass its path as `weights`, or put it into ~/.keras/models. "
            f"Keras says: {reason}"
        ) from None


def check_weights_file(weights: str | None) -> None:
    """Raise ``ValueError`` unless ``weights`` is None or a file of weights that exists."""
    if weights is None:
        return
    if not str(weights).endswith(WEIGHTS_FILES) or not pathlib.Path(weights).is_file():
        raise ValueError(
            "`weights` must be 'imagenet', None or an existing .weights.h5, .h5 or .keras file. "
            f"Received: weights={str(weights)!r}"
        )


def load_whole_or_part(network: keras.Model, part: keras.Model, weights: str) -> None:
    """Load a file of ``network``, or of ``part``, which shares its first layers.

    Raises:
        ValueError: There is no such file, or it fits neither.
    """
    check_weights_file(weights)
    check_no_lfs_pointer("weights", weights)
    reasons = []
    for model in (network, part):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they tell of layers that the error tells again
                model.load_weights(weights)
        except Exception as error:  # of damaged files h5py and Keras raise anything
            reasons.append(" ".join(str(error).split())[:200])
        else:
            return check_finite(model, f"`weights` {str(weights)!r}")
    raise ValueError(
        f"`weights` must be of {network.name!r} without its classifier, whole or up to the "
        f"deepest of `layers`. Received: weights={str(weights)!r}, for which Keras says: "
        f"{reasons[-1]}"
    )


def _key(name: str) -> str:
    return name.lower().replace("_", "")
