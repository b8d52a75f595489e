// From a file to pixels, and what the network sees of them.

import { Problem } from "./problem.js";

/** The pixels of an image file, RGBA; EXIF orientation is followed, colour profiles are not. */
export async function pixels(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => {
    throw new Problem(`${file.name || "This"} is not an image that this browser can read.`);
  });
  const { width, height } = bitmap;
  const context = contextOf(document.createElement("canvas"), width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/** Paint RGBA values from 0 to 255 on a canvas, opaque. */
export function paint(canvas, { data, width, height }) {
  const context = contextOf(canvas, width, height);
  const image = context.createImageData(width, height);
  image.data.set(data);
  for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
  context.putImageData(image, 0, 0);
}

function contextOf(canvas, width, height) {
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d", { willReadFrequently: true });
}
