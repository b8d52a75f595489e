// The network in model/, as `srm_keras.export.to_web` writes it.

import { Problem } from "./problem.js";
import { compile, reason, run } from "./runtime.js";

const COMMAND = "python -m tools.web_demo --run=RUN";

/**
 * Fetch and compile model/model.tflite.
 *
 * @returns {Promise<{description: object, answer: function(Float32Array): Promise<object>}>} What
 *     model.json says, and a function from a prepared image to `{scores, gates, milliseconds}`.
 */
export async function loadNetwork() {
  const description = await (await fetched("model/model.json")).json().catch(() => {
    throw new Problem("model/model.json is not readable. Write it anew with", COMMAND);
  });
  const file = new Uint8Array(await (await fetched("model/model.tflite")).arrayBuffer());
  const blank = new Float32Array(description.input.shape.reduce((a, b) => a * b));
  const model = await warm(file, blank).catch((error) => {
    if (error instanceof Problem) throw error;
    const said = reason(error).replace(/\.$/, "");
    throw new Problem(`LiteRT.js refuses model/model.tflite: ${said}. Write it anew with`, COMMAND);
  });
  return { description, answer: (image) => answer(model, description, image) };
}

/** A compiled network that has run once: the first run takes several times as long. */
async function warm(file, image) {
  const model = await compile(file);
  await run(model, image);
  return model;
}

async function fetched(path) {
  const response = await fetch(path, { cache: "no-cache" });
  if (!response.ok) {
    throw new Problem("There is no network in model/ yet. Put a trained one there with", COMMAND);
  }
  return response;
}

async function answer(model, { scores, gates }, image) {
  const start = performance.now();
  const outputs = await run(model, image);
  const milliseconds = performance.now() - start;
  const output = (name) => outputs.find((one) => one.name === name);
  const values = Array.from(output("predictions").data);
  return {
    scores: scores === "probabilities" ? values : softmax(values),
    gates: gates.map((block) => ({ ...block, values: perChannel(output(block.output)) })),
    milliseconds,
  };
}

function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

/** Gates of one image by channel, channels last; spatial ones averaged over height and width. */
function perChannel({ data, shape }) {
  const channels = shape.at(-1);
  const means = new Array(channels).fill(0);
  data.forEach((gate, i) => (means[i % channels] += (gate * channels) / data.length));
  return means;
}
