// The second tab: a photo comes in; it comes out painted, to be looked at and kept.

import { loadStylizer } from "./network.js";
import { paint, pixels } from "./picture.js";
import { middle, standardized } from "./preprocessing.js";
import { Problem } from "./problem.js";
import { fail, say } from "./status.js";

const $ = (selector) => document.querySelector(selector);

let network;
let latest = 0;
let stem = "photo";

/** Load the network in stylizer/. */
export async function start() {
  $("#download").addEventListener("click", download);
  say($("#style-status"), "Loading the network …");
  network = await loadStylizer();
  const [, height, width] = network.description.input.shape;
  $("#style-network").textContent =
    `${network.description.model}: the middle of the photo, ${height} × ${width} pixels; `
    + network.by;
  $("#style-file").disabled = false;
  say($("#style-status"), "Ready. Choose, drop or paste a photo.");
}

/** Paint one file; where a later one comes meanwhile, that one counts. */
export async function take(file) {
  if (!network) return;
  const turn = ++latest;
  try {
    if (!file) throw new Problem("That was no file. Choose, drop or paste an image file.");
    say($("#style-status"), `Painting ${file.name} …`);
    const image = await pixels(file);
    await shown();
    if (turn === latest) await show(file, image, turn);
  } catch (error) {
    if (turn === latest) fail($("#style-status"), error);
  }
}

async function show(file, image, turn) {
  const { preprocessing } = network.description;
  const seen = middle(image, preprocessing);
  const { values, milliseconds } = await network.stylize(standardized(seen, preprocessing));
  if (turn !== latest) return;
  const size = `${seen.width} × ${seen.height} pixels`;
  paint($("#photo"), seen);
  paint($("#painted"), { ...seen, data: withAlpha(values) });
  $("#photo-note").textContent = `The middle of ${file.name}, ${size} of `
    + `${image.width} × ${image.height}`;
  $("#painted-note").textContent = `Painted, ${size}`;
  stem = file.name.replace(/\.[^.]*$/, "") || "photo";
  $("#pictures").hidden = false;
  say($("#style-status"), `${file.name}: painted in ${milliseconds.toFixed(0)} ms.`);
}

/** RGB values as RGBA, as `paint` takes them: it rounds them and cuts them off at 0 and 255. */
function withAlpha(values) {
  const result = new Float32Array((values.length / 3) * 4);
  for (let i = 0; i < values.length; i++) result[Math.floor(i / 3) * 4 + (i % 3)] = values[i];
  return result;
}

function download() {
  $("#painted").toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${stem}_painted.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }, "image/png");
}

/** After the browser has drawn what the page says: the network then keeps it busy. */
function shown() {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}
