// Runs a .tflite file in headless Chromium through LiteRT.js:  node headless/run.mjs JOB
//
// JOB is a folder with model.tflite and job.json, either
//   {"count": 8}                               and images.bin: float32, as the network reads them;
//   {"files": ["0.jpg"], "preprocessing": {}}  and these files, prepared as on the page.
// Written to it: outputs.json, [{"name", "shape"}], and 0.bin, 1.bin … in that order, float32 with
// all images in front; for files also prepared.bin, what was made of them.

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const DEMO = dirname(dirname(fileURLToPath(import.meta.url)));

async function main(job) {
  const { withChromium } = await import("./chromium.mjs");
  const { withServer } = await import("./server.mjs");
  const plan = JSON.parse(readFileSync(join(job, "job.json")));
  // The page itself is opened, for its import map and its security policy, with no network.
  await withServer({ "": DEMO, model: null, job }, (address) =>
    withChromium(async (browser) => {
      const page = await browser.newPage();
      await page.exposeFunction("keep", (name, base64) =>
        writeFileSync(join(job, name), Buffer.from(base64, "base64")),
      );
      await page.goto(address);
      await page.waitForSelector("body[data-state=failed]");
      const outputs = await page.evaluate(inBrowser, plan);
      writeFileSync(join(job, "outputs.json"), JSON.stringify(outputs));
    }),
  );
}

/** Serialized and run in the page, so it may use nothing from around it. */
async function inBrowser({ count, files, preprocessing }) {
  const [{ compile, run }, { pixels }, { prepare }] = await Promise.all(
    ["runtime.js", "picture.js", "preprocessing.js"].map((name) => import(`/${name}`)),
  );
  const bytes = async (name) => (await fetch(`/job/${name}`)).arrayBuffer();
  const base64 = (arrays) => new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1] ?? "");
    reader.readAsDataURL(new Blob(arrays));
  });
  const images = async () => {
    const all = new Float32Array(await bytes("images.bin"));
    const size = all.length / count;
    return Array.from({ length: count }, (_, i) => all.slice(i * size, (i + 1) * size));
  };
  const prepared = async () => {
    const results = [];
    for (const name of files) {
      results.push(prepare(await pixels(new Blob([await bytes(name)])), preprocessing));
    }
    await window.keep("prepared.bin", await base64(results));
    return results;
  };
  const inputs = await (files ? prepared() : images());
  const model = await compile(new Uint8Array(await bytes("model.tflite")));
  const answers = [];
  for (const input of inputs) answers.push(await run(model, input));
  for (const [i] of answers[0].entries()) {
    await window.keep(`${i}.bin`, await base64(answers.map((answer) => answer[i].data)));
  }
  return answers[0].map(({ name, shape, data }) => ({ name, shape, type: data.constructor.name }));
}

/** Without the stack, which Playwright appends to messages from the page. */
function inOneLine(message) {
  const lines = message.split("\n").filter((line) => !/^\s+at /.test(line));
  return lines.join(" ").replace(/^page\.evaluate: (Error: )*/, "").trim();
}

const [job] = process.argv.slice(2);
try {
  if (!job) throw new Error("usage: node headless/run.mjs JOB");
  await main(resolve(job));
} catch (error) {
  console.error(`error: ${inOneLine(error.message)}`);
  process.exitCode = 1;
}
