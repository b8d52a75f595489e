// Uses the page as a visitor would and prints what it shows, as JSON:  node page.mjs ADDRESS FOLDER
//
// At ADDRESS are several copies of the page, each in a folder named after its state; FOLDER has
// the images and takes the screenshots.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SOFTWARE_WEBGPU, withChromium } from "../../../docs/web_demo/headless/chromium.mjs";

const [address, folder] = process.argv.slice(2);
const requests = [];

async function opened(browser, site, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 }, ...options });
  page.on("request", (request) => requests.push(request.url()));
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("console", (message) => {
    const note = /^(INFO|WARNING): /.test(message.text()); // LiteRT writes its log there
    if (message.type() === "error" && !note) page.problems.push(message.text());
  });
  if (options.init) await page.addInitScript(options.init);
  if (options.block) await page.route(options.block, (route) => route.fulfill({ status: 404 }));
  await page.goto(`${address}/${site}/`);
  await page.waitForSelector("body[data-state=ready], body[data-state=failed]");
  return page;
}

const status = (page) => page.textContent("#status");

/** Wait until the status, which tells the last answer or problem, says `text`. */
async function said(page, text) {
  await page.waitForFunction(
    (part) => document.querySelector("#status").textContent.includes(part), text);
  return status(page);
}

/** Scores and gates as drawn: lengths of the bars, not the rounded texts. */
const shown = (page) => page.evaluate(() => ({
  status: document.querySelector("#status").textContent,
  network: document.querySelector("#network").textContent,
  scores: [...document.querySelectorAll(".score")].map((item) => [
    item.querySelector(".name").textContent,
    Number(item.querySelector(".bar").style.getPropertyValue("--part")),
    item.querySelector(".value").textContent,
  ]),
  gates: Object.fromEntries([...document.querySelectorAll("figure.gates")].map((figure) => [
    figure.querySelector(".title").firstChild.textContent,
    [...figure.querySelector(".bars").getAttribute("d").matchAll(/V([^Vh]+)h/g)].map(
      ([, y]) => 1 - Number(y) / figure.querySelector("svg").viewBox.baseVal.height),
  ])),
  gatesHidden: document.querySelector("#gates-section").hidden,
  overflow: document.documentElement.scrollWidth - innerWidth,
}));

const choose = (page, name) => page.setInputFiles("#file", join(folder, name));

/** Hand a file to the page in a drop or paste event. */
const hand = (page, event, name) => page.evaluate(([event, name, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/png" }));
  const options = { bubbles: true, cancelable: true };
  document.body.dispatchEvent(event === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: data })
    : new DragEvent("drop", { ...options, dataTransfer: data }));
}, [event, name, readFileSync(join(folder, name)).toString("base64")]);

async function answers(page) {
  const seen = { ready: await status(page) };
  await choose(page, "0.png");
  await said(page, "0.png:");
  seen.chosen = await shown(page);
  await hand(page, "drop", "1.png");
  await said(page, "1.png:");
  seen.dropped = await shown(page);
  await hand(page, "paste", "2.png");
  await said(page, "2.png:");
  seen.pasted = await shown(page);
  seen.problems = page.problems;
  return seen;
}

async function charts(page) {
  await page.focus("figure.gates svg");
  await page.keyboard.press("End");
  const last = await page.textContent("figure.gates .summary");
  await page.keyboard.press("Escape");
  const summary = await page.textContent("figure.gates .summary");
  await page.focus("#order input[value=channel]");
  await page.keyboard.press("ArrowRight");
  return { last, summary, sorted: (await shown(page)).gates };
}

async function mistakes(page) {
  await choose(page, "notes.txt");
  const text = await said(page, "notes.txt");
  await page.evaluate(() => document.body.dispatchEvent(
    new DragEvent("drop", { bubbles: true, dataTransfer: new DataTransfer() })));
  const nothing = await said(page, "no file");
  await choose(page, "0.png");
  await said(page, "0.png:");
  return { text, nothing, afterwards: await shown(page) };
}

async function problem(browser, site, options) {
  const page = await opened(browser, site, options);
  const seen = { status: await status(page), state: await page.getAttribute("body", "data-state"),
    disabled: await page.isDisabled("#file") };
  await page.screenshot({ path: join(folder, `problem_${site}.png`) });
  await page.close();
  return seen;
}

async function picture(browser, name, options) {
  const page = await opened(browser, "ready", options);
  await choose(page, "0.png");
  await said(page, "0.png:");
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  const { overflow } = await shown(page);
  await page.close();
  return overflow;
}

async function other(browser, site, image, options) {
  const page = await opened(browser, site, options);
  await choose(page, image);
  await said(page, `${image}:`);
  const seen = await shown(page);
  await page.close();
  return seen;
}

/** Said by a browser of what it has in the place of WebGPU. */
const gpu = (value) => ({
  init: `Object.defineProperty(navigator, "gpu", { value: ${value} });`,
});

const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 };
await withChromium(async (browser) => {
  const page = await opened(browser, "ready");
  const result = {
    answers: await answers(page),
    charts: await charts(page),
    mistakes: await mistakes(page),
    grey: await other(browser, "grey", "0.png"),
    logits: await other(browser, "logits", "0.png"),
    problems: {
      no_model: await problem(browser, "no_model"),
      no_packages: await problem(browser, "no_packages"),
      broken_model: await problem(browser, "broken_model"),
      broken_description: await problem(browser, "broken_description"),
      no_wasm: await problem(browser, "ready", { block: "**/*.wasm" }),
    },
    overflow: {
      light: await picture(browser, "light", { colorScheme: "light" }),
      dark: await picture(browser, "dark", { colorScheme: "dark" }),
      phone: await picture(browser, "phone", { ...phone, colorScheme: "light" }),
      phone_dark: await picture(browser, "phone_dark", { ...phone, colorScheme: "dark" }),
    },
    wasm: {
      none: await other(browser, "ready", "0.png", gpu("undefined")),
      broken: await other(browser, "ready", "0.png", gpu("{ requestAdapter: async () => ({}) }")),
    },
    requests,
  };
  result.webgpu = await withChromium(async (painter) => ({
    srm: await other(painter, "ready", "0.png"),
    cbam: await other(painter, "logits", "0.png"),
  }), SOFTWARE_WEBGPU);
  console.log(JSON.stringify(result));
});
