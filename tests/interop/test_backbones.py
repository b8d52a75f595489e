"""KerasHub's and KerasCV's DeepLabV3+ and RetinaNet on backbones with recalibration modules."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from srm_keras.layers import Recalibration
from srm_keras.models import ResNet18, insert_recalibration
from srm_keras.models.pyramid import as_backbone

SIDE = 64
CLASSES = 3


@pytest.fixture
def images(rng):
    return rng.normal(size=(2, SIDE, SIDE, 3)).astype("float32")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def masks(rng):
    return rng.integers(0, CLASSES, size=(2, SIDE, SIDE)).astype("int32")


def boxes(rng):
    """Two boxes an image, xyxy in pixels, the first of the size of an anchor."""
    return np.array([[[0, 0, 32, 32], [10, 20, 60, 62]]] * 2, "float32")


def hub_deeplab(backbone):
    keras_hub = pytest.importorskip("keras_hub")
    encoder = keras_hub.models.DeepLabV3Backbone(
        image_encoder=backbone,
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P5",
        upsampling_size=8,
        dilation_rates=[6, 12, 18],
        image_shape=(SIDE, SIDE, 3),
    )
    model = keras_hub.models.DeepLabV3ImageSegmenter(encoder, num_classes=CLASSES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss=loss, metrics=["sparse_categorical_accuracy"])
    return model, masks


def cv_deeplab(backbone):
    keras_cv = pytest.importorskip("keras_cv")
    model = keras_cv.models.DeepLabV3Plus(backbone=backbone, num_classes=CLASSES)
    model.compile(keras.optimizers.SGD(0.01), loss="sparse_categorical_crossentropy")
    return model, masks


def hub_retinanet(backbone):
    keras_hub = pytest.importorskip("keras_hub")
    encoder = keras_hub.models.RetinaNetBackbone(backbone, min_level=3, max_level=7, use_p5=False)
    model = keras_hub.models.RetinaNetObjectDetector(encoder, CLASSES, bounding_box_format="xyxy")
    model.compile(keras.optimizers.SGD(1e-3))
    return model, lambda rng: {"boxes": boxes(rng), "labels": np.array([[0, 2]] * 2, "float32")}


def cv_retinanet(backbone):
    keras_cv = pytest.importorskip("keras_cv")
    model = keras_cv.models.RetinaNet(
        backbone=backbone, num_classes=CLASSES, bounding_box_format="xyxy"
    )
    model.compile(
        optimizer=keras.optimizers.SGD(1e-3), box_loss="smoothl1", classification_loss="focal"
    )
    return model, lambda rng: {"boxes": boxes(rng), "classes": np.array([[0, 2]] * 2, "float32")}


def hub_resnet():
    """KerasHub's own ResNet, and the layers of its pyramid."""
    keras_hub = pytest.importorskip("keras_hub")
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64] * 4,
        stackwise_num_blocks=[1] * 4,
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    return backbone, {f"P{level}": f"stack{level - 2}_block0_out" for level in range(2, 6)}


def cv_resnet():
    """KerasCV's own ResNet, and the layers of its pyramid."""
    keras_cv = pytest.importorskip("keras_cv")
    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[16] * 4,
        stackwise_blocks=[1] * 4,
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=False,
        input_shape=(SIDE, SIDE, 3),
    )
    return backbone, backbone.pyramid_level_inputs


def train_one_step(model, modules, images, labels):
    """Train a step in which every module must change, the losses being finite."""
    before = [module.get_weights() for module in modules]
    history = model.fit(images, labels, batch_size=2, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for module, old in zip(modules, before, strict=True):
        new = [ops.convert_to_numpy(weight) for weight in module.trainable_variables]
        assert not all(any(np.array_equal(w, o) for o in old) for w in new), module.name


def modules_of(backbone):
    return [layer for layer in backbone.layers if isinstance(layer, Recalibration)]


def assert_same(expected, actual, tolerance):
    expected, actual = keras.tree.flatten(expected), keras.tree.flatten(actual)
    assert len(expected) == len(actual)
    for one, other in zip(expected, actual, strict=True):
        one, other = ops.convert_to_numpy(one), ops.convert_to_numpy(other)
        np.testing.assert_allclose(other, one, rtol=0, atol=tolerance * np.abs(one).max())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning")  # KerasCV's RetinaNet
@pytest.mark.filterwarnings("ignore:`compile\\(\\)` was not called:UserWarning")  # custom compile
@pytest.mark.parametrize("task", [hub_deeplab, hub_retinanet, cv_deeplab, cv_retinanet])
def test_builds_trains_saves_and_exports(task, images, rng, tmp_path):
    shape = (SIDE, SIDE, 3) if task in (cv_deeplab, cv_retinanet) else (None, None, 3)
    backbone = as_backbone(ResNet18(include_top=False, recalibration="srm", input_shape=shape))
    model, labels = task(backbone)
    modules = modules_of(backbone)
    assert len(modules) == 8
    train_one_step(model, modules, images, labels(rng))

    batch = {"images": images} if task is cv_retinanet else images
    expected = model(batch)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert_same(expected, loaded(batch), 0)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    assert_same(expected, exported.serve(batch), 1e-4)


@pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning")
@pytest.mark.parametrize(("source", "task"), [(hub_resnet, hub_deeplab), (cv_resnet, cv_retinanet)])
def test_their_own_backbones_with_modules_inserted(source, task, images, rng):
    base, levels = source()
    backbone = as_backbone(insert_recalibration(base, "se", neutral=True), levels)
    assert backbone.pyramid_level_inputs == levels
    theirs = {level: base.get_layer(name).output for level, name in levels.items()}
    assert_same(keras.Model(base.inputs, theirs)(images), backbone(images), 0)
    modules = modules_of(backbone)
    assert len(modules) == 4
    model, labels = task(backbone)
    train_one_step(model, modules, images, labels(rng))
