"""The networks of ``keras.applications`` by name: builders, preprocessing, weights, classifiers."""

import inspect
import pathlib
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import keras

from srm_keras.models.flatten import flatten
from srm_keras.models.head import check_finite
from srm_keras.models.surgery.functional import copied, remade
from srm_keras.models.surgery.graph import read_graph
from srm_keras.support.files import check_no_lfs_pointer
from srm_keras.support.validation import known_options, nearest

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

Standardization = tuple[tuple[float, ...], tuple[float, ...]]
_BY_128 = ("efficientnetv2s", "efficientnetv2m", "efficientnetv2l")
# The mean and deviation of `(value / 255 - mean) / std`, RGB, that come to the same.
_STANDARDIZATIONS: dict[str, Standardization] = {
    "caffe": (tuple(value / 255 for value in (123.68, 116.779, 103.939)), (1 / 255,)),
    "torch": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "tf": ((0.5,), (0.5,)),
    "by 128": ((128 / 255,), (128 / 255,)),
}
WEIGHTS_FILES = (".weights.h5", ".h5", ".keras")

Builder = Callable[..., keras.Model]


def application_names() -> list[str]:
    """Return the names of all classification networks of ``keras.applications``, sorted."""
    return [
        name
        for name, builder in sorted(vars(keras.applications).items())
        if inspect.isfunction(builder) and "include_top" in inspect.signature(builder).parameters
    ]


def is_application(name: str) -> bool:
    """Whether ``application`` knows a network by this name."""
    return _key(name) in map(str.lower, application_names())


def application(name: str) -> Builder:
    """Return the builder of a network by its name, in any case, with or without underscores.

    Raises:
        ValueError: There is none; the message has the nearest.
    """
    builders = {known.lower(): getattr(keras.applications, known) for known in application_names()}
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


def application_standardization(name: str, channels: int = 3) -> Standardization:
    """Return the mean and deviation of ``Preprocessing`` that a network was made for.

    What a network has inside of it counts as well: ``application_classifier`` takes it out. Of grey
    images there is one channel, which gets the means over the three.

    Raises:
        ValueError: There is no such network.
    """
    application(name)
    mode = application_preprocessing(name)
    if mode == "none":
        mode = "torch"
        if _key(name).startswith("mobilenetv3"):
            mode = "tf"
        elif _key(name) in _BY_128:
            mode = "by 128"
    mean, std = _STANDARDIZATIONS[mode]
    if channels == 1:
        return (sum(mean) / len(mean),), (sum(std) / len(std),)
    return mean, std


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


_TAKEN = {
    "include_preprocessing": "images are standardized by `data.preprocessing`",
    "weights": "`init` names the weights to begin from",
    "input_tensor": "the input is an image",
    **dict.fromkeys(("classes", "input_shape"), "the data say it"),
    "name": "it is the network's own",
}


def check_application_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for options that ``application_classifier`` does not take."""
    known = [key for key in inspect.signature(application(name)).parameters if key not in _TAKEN]
    for option in options:
        if option in _TAKEN:
            raise ValueError(
                f"`options` must not hold {option!r}: {_TAKEN[option]}. "
                f"Received: options={dict(options)}"
            )
    known_options(repr(name), options, known)


def application_classifier(
    name: str,
    input_shape: tuple[int, int, int] | None = None,
    classes: int = 1000,
    options: Mapping[str, Any] | None = None,
    weights: str | None = None,
) -> keras.Model:
    """Build a network of ``keras.applications`` that reads what ``Preprocessing`` makes.

    It is the network as its constructor builds it, but for these things:

    - standardization inside of it is left out, since the images are standardized before
      (``application_standardization``);
    - layers without a name of their own are counted from 0, as in a process that has built nothing
      else (``conv2d_3`` of InceptionV3), and models inside of it are taken apart;
    - its last layer computes in float32 whatever the dtype policy;
    - weights that are for BGR images get a first convolution that is turned round, for RGB.

    Args:
        name: As for ``application``.
        input_shape: (H, W, C); by default the network's own.
        classes: Of the classifier, where the options leave it.
        options: Arguments of the constructor; ``check_application_options``.
        weights: None, or what the constructor takes.

    Returns:
        A functional ``keras.Model`` of the global dtype policy.

    Raises:
        ValueError: There is no such network, or the constructor refuses an option or the shape.
    """
    options = dict(options or {})
    check_application_options(name, options)
    builder = application(name)
    if "include_preprocessing" in inspect.signature(builder).parameters:
        options["include_preprocessing"] = False
    try:
        model = builder(weights=weights, input_shape=input_shape, classes=classes, **options)
    except ValueError as error:
        raise ValueError(f"{name!r}: {_first_line(error)}") from None
    result = _plain(flatten(model))
    if weights is not None and application_preprocessing(name) == "caffe":
        _turn_channels(result)
    return result


def _plain(model: keras.Model) -> keras.Model:
    """A copy with counted names, and without the standardization that the network begins with."""
    names = _counted_names(model)
    ((last, _),) = read_graph(model).outputs
    image = keras.Input(model.input_shape[1:], name="image")

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        standardizes = isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
        if standardizes and args and args[0] is image:
            return image
        return layer(*args, **kwargs)

    def layer(source: Any) -> Any:
        changes = {"dtype": "float32"} if source.name == last else {}
        return remade(source, names[source.name], **changes)

    return copied(model, layer, call, image)


def _counted_names(model: keras.Model) -> dict[str, str]:
    """For the name of each layer and operation one that does not depend on what was built before.

    Of those that Keras named, ``conv2d_190``, the numbers of a class begin at 0, in their order.
    """
    numbered: dict[str, list[tuple[int, str]]] = defaultdict(list)
    names = {operation.name: operation.name for operation in model.operations}
    for operation in model.operations:
        stem, number = _split_number(operation.name)
        if stem == _snake_case(type(operation).__name__):
            numbered[stem].append((number, operation.name))
    for stem, found in numbered.items():
        for count, (_, name) in enumerate(sorted(found)):
            names[name] = f"{stem}_{count}" if count else stem
    return names


def _split_number(name: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.+?)_(\d+)", name)
    return (match[1], int(match[2])) if match else (name, 0)


def _snake_case(name: str) -> str:
    """As Keras makes names of layers from names of classes: ``Conv2D`` is ``conv2d``."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def _turn_channels(model: keras.Model) -> None:
    """Make a network that reads BGR one that reads RGB."""
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    first.kernel.assign(keras.ops.flip(first.kernel, axis=2))


def _first_line(error: Exception) -> str:
    return " ".join(str(error).strip().split("\n\n")[0].split())


def _key(name: str) -> str:
    return name.lower().replace("_", "")
