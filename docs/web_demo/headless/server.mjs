// A static server for the headless runs, on a free port of this computer.

import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css",
  ".json": "application/json", ".wasm": "application/wasm" };

/**
 * Call `use` with the address of a server, which is closed afterwards.
 *
 * @param {object} folders Which folder stands behind which first part of the path;
 *     `""` for all others.
 */
export async function withServer(folders, use) {
  const server = createServer((request, response) => answer(folders, request, response));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function answer(folders, request, response) {
  const file = target(folders, new URL(request.url, "http://localhost").pathname);
  if (!file || !statSync(file, { throwIfNoEntry: false })?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
  createReadStream(file).pipe(response);
}

function target(folders, pathname) {
  const path = normalize(decodeURIComponent(pathname));
  const [, first, ...rest] = path.split("/");
  if (first && first in folders) return folders[first] && join(folders[first], ...rest);
  return join(folders[""], path === "/" ? "index.html" : path);
}
