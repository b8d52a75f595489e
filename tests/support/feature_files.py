"""Small networks for features, as files."""

import pathlib

import keras

from tests.support.weights import randomize


def small_feature_file(folder: pathlib.Path, shape=(None, None, 3)) -> str:
    """Writes a `.keras` classifier: conv1, norm, conv2 (stride 2, ReLU), drop, classifier."""
    image = keras.Input(shape)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Conv2D(6, 3, 2, padding="same", activation="relu", name="conv2")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(3, name="classifier")(x), name="small")
    randomize(model)
    model.save(folder / "small.keras")
    return str(folder / "small.keras")


def small_vgg(monkeypatch) -> keras.Model:
    """Stands for ``keras.applications.VGG16``: the names of its first layers, fewer channels."""

    def VGG16(include_top, weights, input_shape):
        assert not include_top
        if weights == "imagenet":
            raise Exception("URL fetch failure on https://host/file: None -- no network\nmore")
        image = keras.Input(input_shape)
        x = image
        for block, width in ((1, 4), (2, 6), (3, 8)):
            for index in (1, 2):
                conv = keras.layers.Conv2D(
                    width, 3, padding="same", activation="relu", name=f"block{block}_conv{index}"
                )
                x = conv(x)
            x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
        return keras.Model(image, x, name="vgg16")

    monkeypatch.setattr(keras.applications, "VGG16", VGG16)
    model = VGG16(False, None, (None, None, 3))
    randomize(model)
    return model
