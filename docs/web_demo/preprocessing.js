// What `srm_keras.data.Preprocessing.evaluation` does, for one image: the shorter side resized,
// the middle cut out, values standardized. `resized` follows TensorFlow's antialiased resize, which
// a canvas does not have: `drawImage` averages in another way in every browser.

/**
 * An image as the network reads it.
 *
 * @param {{data: ArrayLike<number>, width: number, height: number}} image RGBA, values 0 to 255,
 *     as `getImageData` returns it. Alpha is ignored.
 * @param {object} preprocessing The attributes of `Preprocessing`, as in model.json.
 * @returns {Float32Array} image_size × image_size × channels values, channels last.
 */
export function prepare(image, preprocessing) {
  return standardized(middle(image, preprocessing), preprocessing);
}

/** The part of `image` that the network sees: RGBA, image_size × image_size, values 0 to 255. */
export function middle(image, { resize, image_size: size, channels, interpolation }) {
  const part = cropped(resize ? shorterSide(image, resize, KERNELS[interpolation]) : image, size);
  return channels === 1 ? grey(part) : part;
}

/** `(value / 255 - mean) / std` of an RGBA image, without alpha. */
export function standardized({ data, width, height }, { channels, mean, std }) {
  const values = new Float32Array(width * height * channels);
  const of = (list, channel) => list[list.length > 1 ? channel : 0];
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < channels; channel++) {
      const value = data[4 * pixel + channel] / 255;
      values[pixel * channels + channel] = (value - of(mean, channel)) / of(std, channel);
    }
  }
  return values;
}

/** Whether all pixels of an RGBA image have red = green = blue. */
export function isGrey({ data }) {
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
  }
  return true;
}

/** Red, green and blue replaced by luma, which leaves grey as it is. */
function grey({ data, width, height }) {
  const result = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 4) {
    result.fill(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2], i, i + 3);
  }
  return { data: result, width, height };
}

/** How much a pixel counts, by its distance from the middle, and where that ends. */
const bilinear = { reach: 1, weight: (x) => Math.max(0, 1 - x) };
/** Keys 1981, equation 4, with a = -1/2. */
const bicubic = {
  reach: 2,
  weight: (x) => {
    if (x >= 2) return 0;
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2;
  },
};
const KERNELS = { undefined: bilinear, bilinear, bicubic };

function shorterSide(image, side, kernel) {
  const shorter = Math.min(image.width, image.height);
  const scaled = (length) => Math.floor((length * side) / shorter);
  return resized(image, scaled(image.width), scaled(image.height), kernel);
}

/** An RGBA image in another size; rows first, so that a photograph needs little memory. */
function resized(image, width, height, kernel) {
  const rows = turned(resizedRows(image, height, kernel));
  const result = turned(resizedRows(rows, width, kernel));
  // Cubic weights overshoot.
  result.data.forEach((value, i) => (result.data[i] = Math.min(Math.max(value, 0), 255)));
  return result;
}

function resizedRows({ data, width, height }, rows, kernel) {
  const result = new Float32Array(rows * width * 4);
  spans(height, rows, kernel).forEach(({ start, weights }, row) => {
    const to = row * width * 4;
    weights.forEach((weight, offset) => {
      const from = (start + offset) * width * 4;
      for (let i = 0; i < width * 4; i++) result[to + i] += weight * data[from + i];
    });
  });
  return { data: result, width, height: rows };
}

/** Which inputs go into each output, and by how much: a kernel as wide as the reduction. */
function spans(inputs, outputs, { reach, weight }) {
  const step = inputs / outputs;
  const scale = Math.max(step, 1);
  const radius = reach * scale;
  const clamped = (i) => Math.min(Math.max(i, 0), inputs - 1);
  return Array.from({ length: outputs }, (_, output) => {
    const center = (output + 0.5) * step;
    const start = clamped(Math.ceil(center - radius - 0.5));
    const end = clamped(Math.floor(center + radius - 0.5));
    const weights = Array.from({ length: end - start + 1 }, (_, i) =>
      weight(Math.abs(start + i + 0.5 - center) / scale),
    );
    const sum = weights.reduce((a, b) => a + b);
    return { start, weights: weights.map((weight) => weight / sum) };
  });
}

function turned({ data, width, height }) {
  const result = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 4; c++) {
        result[(x * height + y) * 4 + c] = data[(y * width + x) * 4 + c];
      }
    }
  }
  return { data: result, width: height, height: width };
}

/** The middle `size` × `size`, black where the image is smaller. */
function cropped({ data, width, height }, size) {
  const result = new Float32Array(size * size * 4);
  const left = Math.trunc((width - size) / 2);
  const top = Math.trunc((height - size) / 2);
  for (let y = Math.max(0, -top); y < Math.min(size, height - top); y++) {
    for (let x = Math.max(0, -left); x < Math.min(size, width - left); x++) {
      const from = ((y + top) * width + x + left) * 4;
      for (let c = 0; c < 4; c++) result[(y * size + x) * 4 + c] = data[from + c];
    }
  }
  return { data: result, width: size, height: size };
}
