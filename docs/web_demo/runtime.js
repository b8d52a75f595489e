// LiteRT.js, from node_modules: one thread of WebAssembly, no GPU.

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
 */
export async function compile(file) {
  const litert = await runtime();
  const model = await litert.loadAndCompile(file, { accelerator: "wasm" });
  const [{ name, shape }] = model.getInputDetails();
  if (Array.from(shape).some((side) => side < 1)) {
    throw new Error(`LiteRT.js needs a fixed shape; that of ${name} is (${shape.join(", ")})`);
  }
  return model;
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
  return model.getOutputDetails().map(({ name }, i) => {
    const output = outputs[i];
    const data = output.toTypedArray().slice();
    const result = { name, shape: Array.from(output.type.layout.dimensions), data };
    output.delete();
    return result;
  });
}

/** What went wrong, whatever was thrown: WebAssembly throws numbers and events too. */
export function reason(error) {
  return error?.message || (error?.type === "error" ? "a file is missing" : String(error));
}
