// The networks beside the page: model/ and stylizer/, as `tools.web_demo` writes them.

import { Problem } from "./problem.js";
import { compile, noWebGpu, reason, run } from "./runtime.js";

const COMMAND = "python -m tools.web_demo --model=RUN";

/**
 * Fetch and compile the classifier in model/.
 *
 * @returns {Promise<{description: object, by: string,
 *     answer: function(Float32Array): Promise<object>}>} What model.json says, what computes, and a
 *     function from a prepared image to `{scores, gates, milliseconds}`.
 */
export async function loadClassifier() {
  const { description, model, by } = await load("model");
  return { description, by, answer: (image) => answer(model, description, image) };
}

/**
 * Fetch and compile the stylization network in stylizer/.
 *
 * @returns {Promise<{description: object, by: string,
 *     stylize: function(Float32Array): Promise<object>}>} What model.json says, what computes, and a
 *     function from a prepared image to `{values, milliseconds}`: RGB, 0 to 255 and perhaps a little
 *     beyond.
 */
export async function loadStylizer() {
  const { description, model, by } = await load("stylizer");
  return {
    description,
    by,
    stylize: async (image) => {
      const { outputs: [{ data }], milliseconds } = await timed(model, image);
      return { values: data, milliseconds };
    },
  };
}

async function load(folder) {
  const description = await (await fetched(folder, "model.json")).json().catch(() => {
    throw new Problem(`${folder}/model.json is not readable. Write it anew with`, COMMAND);
  });
  const file = new Uint8Array(await (await fetched(folder, "model.tflite")).arrayBuffer());
  const blank = new Float32Array(description.input.shape.reduce((a, b) => a * b));
  const { model, by } = await fastest(file, blank).catch((error) => {
    if (error instanceof Problem) throw error;
    const said = reason(error).replace(/\.$/, "");
    throw new Problem(
      `LiteRT.js refuses ${folder}/model.tflite: ${said}. Write it anew with`, COMMAND);
  });
  return { description, model, by };
}

/** A network on the graphics card, or, where that cannot be, in WebAssembly, and why. */
async function fastest(file, image) {
  let without = await noWebGpu();
  if (!without) {
    try {
      return { model: await warm(file, image, "webgpu"), by: "computed by WebGPU" };
    } catch (error) {
      if (error instanceof Problem) throw error;
      without = `WebGPU refuses it: ${reason(error)}`;
    }
  }
  const model = await warm(file, image, "wasm");
  return { model, by: `computed by WebAssembly (${without})` };
}

/** A compiled network that has run once: the first run takes several times as long. */
async function warm(file, image, accelerator) {
  const model = await compile(file, accelerator);
  await run(model, image);
  return model;
}

async function fetched(folder, name) {
  const response = await fetch(`${folder}/${name}`, { cache: "no-cache" });
  if (!response.ok) {
    throw new Problem(
      `There is no network in ${folder}/ yet. Put a trained one there with`, COMMAND);
  }
  return response;
}

async function timed(model, image) {
  const start = performance.now();
  const outputs = await run(model, image);
  return { outputs, milliseconds: performance.now() - start };
}

async function answer(model, { scores, gates }, image) {
  const { outputs, milliseconds } = await timed(model, image);
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
