// LiteRT.js, from node_modules: WebGPU, or one thread of WebAssembly.

import { Problem } from "./problem.js";

const INSTALL = "cd docs/web_demo && npm ci --ignore-scripts";
const WASM = new URL("node_modules/@litertjs/core/wasm/", import.meta.url).href;

let started;

/** LiteRT.js, loaded once. */
function runtime() {
  started ??= start();
  return started;
}

async function start() {
  const litert = await import("@litertjs/core").catch(() => {
    throw new Problem("LiteRT.js is not installed beside this page. Install it with", INSTALL);
  });
  await litert.loadLiteRt(WASM).catch((error) => {
    throw new Problem(`WebAssembly of LiteRT.js could not be started: ${reason(error)}`);
  });
  return litert;
}

/**
 * A network that LiteRT.js can run.
 *
 * @param {Uint8Array} file A .tflite file; LiteRT.js needs a fixed batch.
 * @param {string} accelerator "wasm", or "webgpu", in float32 there too: an error unless it can
 *     run there as a whole.
 */
export async function compile(file, accelerator = "wasm") {
  const litert = await runtime();
  const gpuOptions = { precision: "fp32" };
  const model = await litert.loadAndCompile(file, { accelerator, gpuOptions });
  // LiteRT.js would compile it for WebAssembly without telling, or run it in parts.
  const whole = accelerator === "wasm" || model.isFullyAccelerated;
  if (!whole || model.options.accelerator !== accelerator) {
    model.delete();
    throw new Error("it has operators that do not run there");
  }
  const [{ name, shape }] = model.getInputDetails();
  if (Array.from(shape).some((side) => side < 1)) {
    throw new Error(`LiteRT.js needs a fixed shape; that of ${name} is (${shape.join(", ")})`);
  }
  return model;
}

/** Why this browser cannot compute with WebGPU; "" where it can. */
export async function noWebGpu() {
  if (!navigator.gpu) return "this browser has no WebGPU";
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter ? "" : "WebGPU has no graphics card here";
}

/**
 * Run a network with one input on a batch.
 *
 * @param {object} model From `compile`.
 * @param {Float32Array} values Of the input's shape.
 * @returns {Promise<Array<{name: string, shape: number[], data: Float32Array}>>} The outputs in
 *     the order of the file.
 */
export async function run(model, values) {
  const { Tensor } = await runtime();
  const [{ shape }] = model.getInputDetails();
  const input = new Tensor(values, Array.from(shape));
  const outputs = await model.run([input]).finally(() => input.delete());
  const results = [];
  for (const [i, { name }] of model.getOutputDetails().entries()) {
    const output = outputs[i];
    const data = (await output.data()).slice(); // from the graphics card, if it is there
    results.push({ name, shape: Array.from(output.type.layout.dimensions), data });
    output.delete();
  }
  return results;
}

/** What went wrong, whatever was thrown: WebAssembly throws numbers and events too. */
export function reason(error) {
  return error?.message || (error?.type === "error" ? "a file is missing" : String(error));
}
