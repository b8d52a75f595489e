// Prepares raw RGBA images without a browser:  node prepare.mjs FOLDER
// FOLDER has cases.json, [{"width", "height", "preprocessing"}], and 0.rgba, 1.rgba …; 0.bin … result.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prepare } from "../../../docs/web_demo/preprocessing.js";

const [folder] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(join(folder, "cases.json")));
for (const [i, { width, height, preprocessing }] of cases.entries()) {
  const data = readFileSync(join(folder, `${i}.rgba`));
  writeFileSync(join(folder, `${i}.bin`), prepare({ data, width, height }, preprocessing));
}
