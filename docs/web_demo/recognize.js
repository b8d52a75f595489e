// The first tab: an image comes in; scores and gates come out.

import { gateChart, scoreBars } from "./charts.js";
import { loadClassifier } from "./network.js";
import { paint, pixels } from "./picture.js";
import { isGrey, middle, standardized } from "./preprocessing.js";
import { Problem } from "./problem.js";
import { fail, say } from "./status.js";

const $ = (selector) => document.querySelector(selector);

let network;
let gates = [];
let latest = 0;

/** Load the network in model/. */
export async function start() {
  $("#order").addEventListener("change", drawGates);
  say($("#status"), "Loading the network …");
  network = await loadClassifier();
  const { model, classes, gates: blocks, input } = network.description;
  const [, height, width] = input.shape;
  $("#network").textContent =
    `${model}: ${classes.length} classes, ${height} × ${width} pixels, ${blocks.length} blocks; `
    + network.by;
  $("#file").disabled = false;
  say($("#status"), "Ready. Choose, drop or paste an image.");
}

/** Answer one file; where a later one comes meanwhile, its answer counts. */
export async function take(file) {
  if (!network) return;
  const turn = ++latest;
  try {
    if (!file) throw new Problem("That was no file. Choose, drop or paste an image file.");
    say($("#status"), `Reading ${file.name} …`);
    const image = await pixels(file);
    if (turn === latest) await show(file, image, turn);
  } catch (error) {
    if (turn === latest) fail($("#status"), error);
  }
}

async function show(file, image, turn) {
  const { classes, preprocessing } = network.description;
  const seen = middle(image, preprocessing);
  const answer = await network.answer(standardized(seen, preprocessing));
  if (turn !== latest) return;
  paint($("#seen"), seen);
  $("#seen-note").textContent = `What the network sees: ${seen.width} × ${seen.height} pixels. `
    + `${file.name} has ${image.width} × ${image.height}.`;
  $("#scores").replaceChildren(...scoreBars(answer.scores, classes));
  gates = answer.gates;
  drawGates();
  $("#answer").hidden = false;
  $("#gates-section").hidden = gates.length === 0;
  const grey = preprocessing.channels === 1 && !isGrey(image);
  const best = classes[answer.scores.indexOf(Math.max(...answer.scores))];
  say($("#status"), `${file.name}: ${best}, in ${answer.milliseconds.toFixed(1)} ms.`
    + (grey ? " This network reads grey images: colours were turned to grey." : ""));
}

function drawGates() {
  const sorted = $("#order input:checked").value === "sorted";
  $("#gates").replaceChildren(...gates.map((block) => gateChart(block, sorted)));
}
