// Headless Chromium that talks to this computer only.

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** The installed browser: the file that CHROMIUM names, or one of `NAMES` on the path. */
function executable() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const candidates = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = [process.env.CHROMIUM ?? "", ...candidates].find(existsSync);
  if (!found) throw new Error(`no browser found: install one of ${NAMES.join(", ")}`);
  return found;
}

/** What gives Chromium a WebGPU that computes on the processor: slow, but the same operations. */
export const SOFTWARE_WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/** Call `use` with a browser, which is closed afterwards whatever happens. */
export async function withChromium(use, more = []) {
  const asRoot = process.getuid?.() === 0;
  const browser = await chromium.launch({
    executablePath: executable(),
    args: [...QUIET, ...more, ...(asRoot ? ["--no-sandbox"] : [])],
  });
  try {
    return await use(browser);
  } finally {
    await browser.close();
  }
}
