// Uses the second tab of the page and prints what it shows, as JSON:
//   node stylize.mjs ADDRESS FOLDER
//
// FOLDER has the images, and takes the screenshots and the pixels that were shown.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { withChromium } from "../../../docs/web_demo/headless/chromium.mjs";

const [address, folder] = process.argv.slice(2);
const requests = [];

async function opened(browser, hash = "#stylize", options = {}) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 }, ...options });
  page.on("request", (request) => requests.push(request.url()));
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.message));
  await page.goto(`${address}/${hash}`);
  await page.waitForSelector("body[data-state=ready], body[data-state=failed]");
  return page;
}

const status = (page) => page.textContent("#style-status");

async function painted(page, name) {
  await page.setInputFiles("#style-file", join(folder, name));
  await page.waitForFunction((part) =>
    document.querySelector("#style-status").textContent.startsWith(part), `${name}: painted`);
}

/** The pixels of a canvas, RGBA, to a file; its size is returned. */
async function keep(page, canvas, name) {
  const { width, height, data } = await page.evaluate((selector) => {
    const { width, height } = document.querySelector(selector);
    const context = document.querySelector(selector).getContext("2d");
    return { width, height, data: Array.from(context.getImageData(0, 0, width, height).data) };
  }, canvas);
  writeFileSync(join(folder, name), Buffer.from(data));
  return [height, width];
}

async function paintings(page) {
  const seen = { ready: await status(page), network: await page.textContent("#style-network") };
  await painted(page, "0.png");
  seen.first = await keep(page, "#painted", "0.rgba");
  await painted(page, "1.png");
  seen.second = await keep(page, "#painted", "1.rgba");
  seen.photo = await keep(page, "#photo", "photo.rgba");
  seen.status = await status(page);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  seen.download = download.suggestedFilename();
  await download.saveAs(join(folder, "download.png"));
  await page.setInputFiles("#style-file", join(folder, "notes.txt"));
  await page.waitForFunction(() =>
    document.querySelector("#style-status").textContent.startsWith("notes.txt is not"));
  seen.mistake = await status(page);
  seen.problems = page.problems;
  return seen;
}

const visible = (page) => page.evaluate(() => ({
  panels: [...document.querySelectorAll("[role=tabpanel]:not([hidden])")].map(({ id }) => id),
  selected: document.querySelector("[role=tab][aria-selected=true]").id,
  focused: document.activeElement.id,
}));

async function keyboard(page) {
  const seen = { start: await visible(page) };
  await page.focus("#recognize-tab");
  await page.keyboard.press("ArrowRight");
  seen.right = await visible(page);
  await page.keyboard.press("Home");
  seen.home = await visible(page);
  return seen;
}

async function picture(browser, name, options) {
  const page = await opened(browser, "#stylize", options);
  await painted(page, "0.png");
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await page.close();
  return overflow;
}

await withChromium(async (browser) => {
  const result = {
    paintings: await paintings(await opened(browser)),
    keyboard: await keyboard(await opened(browser, "")),
    missing: await status(await opened(browser, "missing/#stylize")),
    overflow: {
      light: await picture(browser, "light", { colorScheme: "light" }),
      phone_dark: await picture(browser, "phone_dark",
        { viewport: { width: 360, height: 740 }, colorScheme: "dark" }),
    },
    requests,
  };
  console.log(JSON.stringify(result));
});
