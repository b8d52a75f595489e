"""From requests to what a network reads, in TensorFlow ops alone: part of an exported graph."""

import tensorflow as tf

from srm_keras.data import Preprocessing
from srm_keras.data.decode import decode

MAX_PIXELS = 2**26
"""Of one encoded image: 200 MB decoded."""

MAX_RATIO = 50
"""Of an image's longer side to its shorter: resizing the shorter one lengthens the other too."""

_PNG = b"\x89PNG\r\n\x1a\n"


def prepared_arrays(images: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """What the network reads of raw images.

    Args:
        images: uint8 (N, H, W, channels), N, H and W at least 1, the longer of H and W at most
            ``MAX_RATIO`` times the shorter.
        preprocessing: Of the network.

    Returns:
        float32 (N, image_size, image_size, channels). As a graph it fails with
        ``InvalidArgumentError`` for other images.
    """
    check = _check(
        tf.logical_and(tf.shape(images)[0] > 0, _is_moderate(tf.shape(images)[1:3])),
        "`image` must hold at least one image, of at least one pixel, whose longer side is at most "
        f"{MAX_RATIO} times the shorter. Received: shape (",
        tf.strings.reduce_join(tf.strings.as_string(tf.shape(images)), separator=", "),
        ")",
    )
    with tf.control_dependencies([check]):
        images = tf.identity(images)
    if preprocessing.resize is None:
        return preprocessing.evaluation(images)
    # One by one: the resized form of a narrow image is large.
    size, channels = preprocessing.image_size, preprocessing.channels
    spec = tf.TensorSpec((size, size, channels), tf.float32)
    return tf.map_fn(preprocessing.evaluation, images, fn_output_signature=spec)


def prepared_files(contents: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """What the network reads of encoded images, which may differ in size.

    Grey values are repeated, or colours made grey, to what the network reads; palettes are looked
    up, CMYK converted, alpha dropped, and of 16 bits the upper 8 kept. An EXIF orientation is
    ignored.

    Args:
        contents: (N,) strings, N at least 1, each a JPEG or PNG file of at most ``MAX_PIXELS``
            pixels, the longer side at most ``MAX_RATIO`` times the shorter.
        preprocessing: Of the network.

    Returns:
        float32 (N, image_size, image_size, channels). As a graph it fails with
        ``InvalidArgumentError`` that names the position of the first other image.
    """
    count = tf.size(contents)
    empty = _check(count > 0, "`image_bytes` must hold at least one image. Received: none")
    size, channels = preprocessing.image_size, preprocessing.channels
    with tf.control_dependencies([empty]):
        files = tf.data.Dataset.from_tensor_slices(contents).enumerate()
    decoded = files.map(
        lambda position, content: (position, _prepared_file(content, preprocessing)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    ).ignore_errors()
    # One more than was sent, so that something is left where every image is broken.
    end = (tf.cast(count, tf.int64), tf.zeros((size, size, channels)))
    batch = decoded.concatenate(tf.data.Dataset.from_tensors(end)).batch(end[0] + 1)
    positions, images = batch.get_single_element()
    with tf.control_dependencies([_check_none_missing(positions, contents)]):
        return tf.ensure_shape(images[:-1], (None, size, size, channels))


def _check_none_missing(positions: tf.Tensor, contents: tf.Tensor) -> tf.Operation:
    """Fail unless ``positions``, of those decoded and of the end, are consecutive from 0."""
    missing = positions != tf.range(tf.size(positions, tf.int64))
    first = tf.argmax(missing)  # Where one is missing a later one stands instead.
    length = tf.strings.length(contents)[tf.minimum(first, tf.size(contents, tf.int64) - 1)]
    return _check(
        tf.logical_not(tf.reduce_any(missing)),
        f"`image_bytes` must hold whole JPEG or PNG files of at most {MAX_PIXELS} pixels, the "
        f"longer side at most {MAX_RATIO} times the shorter. Received: something else at position ",
        tf.strings.as_string(first),
        " of ",
        tf.strings.as_string(tf.size(contents)),
        ", counted from 0, of ",
        tf.strings.as_string(length),
        " bytes",
    )


def _prepared_file(content: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """One image (image_size, image_size, channels); fails for what is none."""
    with tf.control_dependencies([check_file(content)]):
        image = decode(tf.identity(content))
    if preprocessing.channels == 1:
        image = tf.image.rgb_to_grayscale(image)
    return preprocessing.evaluation(image)


def check_file(content: tf.Tensor) -> tf.Operation:
    """Fail unless the header is that of a JPEG or PNG file of a moderate size."""
    sides = tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.io.extract_jpeg_shape(content)[:2],
        lambda: _sides_of_png(content),
    )
    pixels = tf.reduce_prod(tf.cast(sides, tf.int64))
    fits = tf.logical_and(pixels <= MAX_PIXELS, _is_moderate(sides))
    return _check(fits, "image too large or too narrow")


def _sides_of_png(content: tf.Tensor) -> tf.Tensor:
    """Height and width from the header; fails where there is none."""
    is_png = _check(tf.strings.substr(content, 0, len(_PNG)) == _PNG, "neither JPEG nor PNG")
    with tf.control_dependencies([is_png]):
        header = tf.strings.substr(content, 16, 8)
    return tf.reverse(tf.io.decode_raw(header, tf.int32, little_endian=False), [0])


def _is_moderate(sides: tf.Tensor) -> tf.Tensor:
    """Whether both sides are at least 1 and the longer one at most ``MAX_RATIO`` the shorter."""
    sides = tf.cast(sides, tf.int64)
    return tf.logical_and(
        tf.reduce_min(sides) >= 1,
        tf.reduce_max(sides) <= MAX_RATIO * tf.reduce_min(sides),
    )


def _check(condition: tf.Tensor, *message: str | tf.Tensor) -> tf.Operation:
    """Fail with the parts of ``message``, joined, unless ``condition``."""
    return tf.debugging.Assert(condition, [tf.strings.join(message)])
