// What a panel of the page says: how far it is, what it did, or what went wrong.

import { Problem } from "./problem.js";

export function say(status, text) {
  status.classList.remove("problem");
  status.textContent = text;
}

/** Tell an error, with the command that mends it where there is one. */
export function fail(status, error) {
  const known = error instanceof Problem;
  status.classList.add("problem");
  status.textContent = known ? error.message : `Something went wrong: ${error}`;
  if (error.command) {
    const code = document.createElement("code");
    code.textContent = error.command;
    status.append(" ", code);
  }
  if (!known) console.error(error);
}
