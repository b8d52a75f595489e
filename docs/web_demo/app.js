// The page: an image comes in by click, drop or paste; scores and gates come out.

import { gateChart, scoreBars } from "./charts.js";
import { loadNetwork } from "./network.js";
import { paint, pixels } from "./picture.js";
import { isGrey, middle, standardized } from "./preprocessing.js";
import { Problem } from "./problem.js";

const $ = (selector) => document.querySelector(selector);

let network;
let gates = [];
let latest = 0;

async function start() {
  watchInputs();
  say("Loading the network …");
  network = await loadNetwork();
  const { model, classes, gates: blocks, input } = network.description;
  const [, height, width] = input.shape;
  $("#network").textContent =
    `${model}: ${classes.length} classes, ${height} × ${width} pixels, ${blocks.length} blocks`;
  $("#file").disabled = false;
  document.body.dataset.state = "ready";
  say("Ready. Choose, drop or paste an image.");
}

function watchInputs() {
  $("#file").addEventListener("change", ({ target }) => take(target.files[0]));
  document.addEventListener("paste", ({ clipboardData }) => take(clipboardData.files[0]));
  for (const type of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      $("#drop").classList.toggle("over", type === "dragover");
    });
  }
  document.addEventListener("drop", ({ dataTransfer }) => take(dataTransfer.files[0]));
  $("#order").addEventListener("change", drawGates);
}

/** Answer one file; where a later one comes meanwhile, its answer counts. */
async function take(file) {
  if (!network) return;
  const turn = ++latest;
  try {
    if (!file) throw new Problem("That was no file. Choose, drop or paste an image file.");
    say(`Reading ${file.name} …`);
    const image = await pixels(file);
    if (turn === latest) await show(file, image, turn);
  } catch (error) {
    if (turn === latest) fail(error);
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
  say(`${file.name}: ${best}, in ${answer.milliseconds.toFixed(1)} ms.`
    + (grey ? " This network reads grey images: colours were turned to grey." : ""));
}

function drawGates() {
  const sorted = $("#order input:checked").value === "sorted";
  $("#gates").replaceChildren(...gates.map((block) => gateChart(block, sorted)));
}

function say(text) {
  $("#status").className = "";
  $("#status").textContent = text;
}

function fail(error) {
  const known = error instanceof Problem;
  $("#status").className = "problem";
  $("#status").textContent = known ? error.message : `Something went wrong: ${error}`;
  if (error.command) {
    const code = document.createElement("code");
    code.textContent = error.command;
    $("#status").append(" ", code);
  }
  if (!known) console.error(error);
}

start().catch((error) => {
  document.body.dataset.state = "failed";
  fail(error);
});
