// The page: two tabs, and a way in for images, by click, drop or paste, to the one that is open.

import * as recognize from "./recognize.js";
import { fail } from "./status.js";
import * as stylize from "./stylize.js";

const TABS = { recognize, stylize };
const panel = (name) => document.getElementById(name);
const tab = (name) => document.getElementById(`${name}-tab`);
const started = new Set();

let open;

/** Open a tab; its network is loaded the first time. */
async function show(name) {
  open = name;
  for (const other of Object.keys(TABS)) {
    tab(other).setAttribute("aria-selected", other === name);
    tab(other).tabIndex = other === name ? 0 : -1;
    panel(other).hidden = other !== name;
  }
  if (started.has(name)) return;
  started.add(name);
  await TABS[name].start().then(
    () => (panel(name).dataset.state = "ready"),
    (error) => {
      panel(name).dataset.state = "failed";
      fail(panel(name).querySelector(".status"), error);
    },
  );
  document.body.dataset.state = panel(name).dataset.state;
}

function watchTabs() {
  const names = Object.keys(TABS);
  for (const name of names) tab(name).addEventListener("click", () => choose(name));
  document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: names.length - 1, ArrowRight: 1 }[event.key];
    const target = { Home: names[0], End: names.at(-1) }[event.key]
      ?? (step && names[(names.indexOf(open) + step) % names.length]);
    if (!target) return;
    event.preventDefault();
    choose(target);
    tab(target).focus();
  });
  addEventListener("hashchange", () => show(named()));
}

function choose(name) {
  history.replaceState(null, "", `#${name}`);
  show(name);
}

/** The tab that the address names, or the first one. */
function named() {
  const name = location.hash.slice(1);
  return name in TABS ? name : Object.keys(TABS)[0];
}

function watchInputs() {
  const take = (files) => TABS[open].take(files[0]);
  for (const name of Object.keys(TABS)) {
    panel(name).querySelector(".file").addEventListener("change", ({ target }) => {
      take(target.files);
    });
  }
  document.addEventListener("paste", ({ clipboardData }) => take(clipboardData.files));
  for (const type of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      panel(open).querySelector(".drop").classList.toggle("over", type === "dragover");
    });
  }
  document.addEventListener("drop", ({ dataTransfer }) => take(dataTransfer.files));
}

watchTabs();
watchInputs();
show(named());
