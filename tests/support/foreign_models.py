"""Small functional models as other people write them."""

import keras
from keras import layers

SHAPE = (8, 8, 3)


def residual_branch(x, channels: int = 4, prefix: str = "", data_format: str = "channels_last"):
    """Convolution, batch norm, ReLU, convolution, batch norm: ``conv1`` to ``bn2``."""
    axis = -1 if data_format == "channels_last" else 1
    for number in (1, 2):
        x = layers.Conv2D(
            channels, 3, padding="same", data_format=data_format, name=f"{prefix}conv{number}"
        )(x)
        x = layers.BatchNormalization(axis=axis, name=f"{prefix}bn{number}")(x)
        if number == 1:
            x = layers.ReLU(name=f"{prefix}relu1")(x)
    return x


def residual_model(data_format: str = "channels_last", shape=SHAPE, name="residual"):
    """One residual block with a projection shortcut and dropout, and a head of three logits."""
    shape = shape if data_format == "channels_last" else (shape[2], *shape[:2])
    x = image = keras.Input(shape, name="image")
    branch = residual_branch(x, data_format=data_format)
    branch = layers.Dropout(0.2, name="dropout")(branch)
    shortcut = layers.Conv2D(4, 1, data_format=data_format, name="shortcut")(x)
    x = layers.Add(name="add")([branch, shortcut])
    x = layers.ReLU(name="out")(x)
    x = layers.GlobalAveragePooling2D(data_format=data_format, name="pool")(x)
    return keras.Model(image, layers.Dense(3, name="logits")(x), name=name)


def operator_model():
    """Two blocks written as ``x + f(x)``."""
    x = image = keras.Input((8, 8, 4), name="image")
    for prefix in ("a_", "b_"):
        x = x + residual_branch(x, prefix=prefix)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


def plain_model():
    """Three stages of one convolution each, two pools, a head."""
    x = image = keras.Input(SHAPE, name="image")
    for number in (1, 2, 3):
        x = layers.Conv2D(4, 3, padding="same", activation="relu", name=f"conv{number}")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x) if number < 3 else x
    return keras.Model(image, layers.Dense(2, name="logits")(layers.Flatten(name="flat")(x)))


def inception_model():
    """A block whose two branches reduce side by side, behind one convolution."""
    x = image = keras.Input(SHAPE, name="image")
    x = layers.Conv2D(4, 3, padding="same", name="stem")(x)
    left = layers.Conv2D(4, 3, strides=2, padding="same", name="left")(x)
    right = layers.Conv2D(4, 1, name="right1")(x)
    right = layers.Conv2D(4, 3, strides=2, padding="same", name="right2")(right)
    x = layers.Concatenate(name="mixed")([left, right])
    return keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x))


def pyramid_model():
    """A residual block, a reduction, and the lateral addition of a feature pyramid."""
    x = image = keras.Input((8, 8, 4), name="image")
    fine = layers.Add(name="add")([x, residual_branch(x)])
    coarse = layers.Conv2D(4, 3, strides=2, padding="same", name="reduce")(fine)
    up = layers.UpSampling2D(name="up")(layers.Conv2D(4, 1, name="top")(coarse))
    lateral = layers.Conv2D(4, 1, name="lateral")(fine)
    return keras.Model(image, [layers.Add(name="merge")([up, lateral]), coarse])


def cell_model():
    """A cell after NASNet: three additions, one of which is residual, into a concatenation."""
    x = image = keras.Input((8, 8, 4), name="image")
    convs = [layers.Conv2D(4, 3, padding="same", name=f"conv{number}")(x) for number in range(4)]
    parts = [
        layers.Add(name="add1")([convs[0], convs[1]]),
        layers.Add(name="add2")([convs[2], convs[3]]),
        layers.Add(name="add3")([x, convs[3]]),
    ]
    x = layers.Concatenate(name="cell")(parts)
    return keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x))


def siamese_model():
    """Two images through the same two layers, and the difference of what comes out."""
    images = [keras.Input(SHAPE, name=name) for name in ("left", "right")]
    conv = layers.Conv2D(4, 3, padding="same", name="conv")
    bn = layers.BatchNormalization(name="bn")
    features = [bn(conv(image)) for image in images]
    return keras.Model(images, layers.Subtract(name="difference")(features))


def nested_model():
    """A Sequential of a Sequential, a residual model and a head."""
    inner = keras.Sequential(
        [keras.Input(SHAPE), layers.Conv2D(3, 1, name="conv1"), layers.ReLU()], name="stem"
    )
    x = image = keras.Input(SHAPE, name="image")
    backbone = keras.Model(
        image, layers.Add(name="add")([x, residual_branch(x, 3)]), name="backbone"
    )
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            inner,
            backbone,
            layers.ReLU(name="between"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(2, name="logits"),
        ],
        name="nested",
    )


def squeeze_excite_model():
    """A convolution, squeeze-and-excitation in stock layers, and a head."""
    x = image = keras.Input(SHAPE, name="image")
    x = layers.Conv2D(4, 3, name="conv")(x)
    gates = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gates = layers.Conv2D(4, 1, activation="sigmoid", name="expand")(gates)
    x = layers.Multiply(name="excite")([gates, x])
    return keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x))


def transfer_model(classes: int = 3, shape=(16, 16, 3), dropout: float = 0.2):
    """What a guide to transfer learning ends with: standardization, an inner model, a new head.

    The inner model has a stem of stride 2 and a residual block; it is frozen.
    """
    image = keras.Input(shape, name="image")
    stem = layers.Conv2D(4, 3, strides=2, padding="same", name="stem")(image)
    block = layers.Add(name="add")([stem, residual_branch(stem)])
    inner = keras.Model(image, layers.ReLU(name="out")(block), name="inner")
    inner.trainable = False
    x = own = keras.Input(shape, name="photo")
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 4.0], name="standard")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(inner(x))
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(own, layers.Dense(classes, "softmax", name="logits")(x), name="transfer")


def convolutional_head_model(classes: int = 3):
    """Logits from a 1×1 convolution that are reshaped, as in MobileNet."""
    x = image = keras.Input(SHAPE, name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Conv2D(classes, 1, name="preds")(x)
    x = layers.Reshape((classes,), name="flat")(x)
    return keras.Model(image, layers.Softmax(name="softmax")(x), name="convolutional")
