// Scores and gates as elements of the page.

const CHART = { width: 300, height: 72 };

/** The `count` highest scores, as a list of bars. */
export function scoreBars(scores, classes, count = 5) {
  const best = scores.map((score, i) => [score, classes[i]]).sort((a, b) => b[0] - a[0]);
  return best.slice(0, count).map(([score, name]) => {
    const item = element("li", "score");
    const bar = element("span", "bar");
    bar.style.setProperty("--part", score);
    item.append(element("span", "name", name), element("span", "value", percent(score)), bar);
    return item;
  });
}

/** One block's gates: a chart of its channels, and their mean and spread in words. */
export function gateChart({ name, values, shape }, sorted) {
  const channels = values.map((gate, channel) => ({ gate, channel }));
  if (sorted) channels.sort((a, b) => b.gate - a.gate);
  const { mean, spread } = moments(values);
  const figure = element("figure", "gates");
  const title = element("figcaption", "title", name);
  title.append(element("span", "count", `${values.length} channels${places(shape)}`));
  const summary = `mean ${fixed(mean)} ± ${fixed(spread)}, `
    + `${fixed(Math.min(...values))} to ${fixed(Math.max(...values))}`;
  const readout = element("p", "summary", summary);
  const chart = drawing(channels, mean, spread);
  chart.setAttribute("aria-label", `Gates of ${name}, ${values.length} channels: ${summary}`);
  followCursor(chart, channels, (channel) => {
    readout.textContent = channel ? `channel ${channel.channel}: ${fixed(channel.gate)}` : summary;
  });
  figure.append(title, chart, readout);
  return figure;
}

function places([, height, width]) {
  return height * width > 1 ? `, mean of ${height} × ${width} places` : "";
}

function moments(values) {
  const mean = values.reduce((a, b) => a + b) / values.length;
  const variance = values.reduce((sum, gate) => sum + (gate - mean) ** 2, 0) / values.length;
  return { mean, spread: Math.sqrt(variance) };
}

function drawing(channels, mean, spread) {
  const { width, height } = CHART;
  const y = (gate) => (1 - gate) * height;
  const step = width / channels.length;
  const gap = step > 3 ? step / 5 : 0;
  const bars = channels.map(
    ({ gate }, i) => `M${i * step},${height}V${y(gate)}h${step - gap}V${height}z`,
  );
  const svg = shape("svg", {
    viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", tabindex: 0,
  });
  const top = Math.min(1, mean + spread);
  const band = Math.max(0, top - Math.max(0, mean - spread));
  const line = (value, style) =>
    shape("line", { class: style, x1: 0, x2: width, y1: y(value), y2: y(value) });
  svg.append(
    shape("path", { class: "bars", d: bars.join("") }),
    shape("rect", { class: "spread", x: 0, width, y: y(top), height: band * height }),
    line(0.5, "half"),
    line(mean, "mean"),
    shape("rect", { class: "cursor", y: 0, width: step, height, visibility: "hidden" }),
  );
  return svg;
}

/** Pointer and arrow keys choose a channel; `show` gets it, or nothing when they leave. */
function followCursor(svg, channels, show) {
  const cursor = svg.querySelector(".cursor");
  let chosen = -1;
  const choose = (i) => {
    chosen = Math.min(Math.max(i, -1), channels.length - 1);
    cursor.setAttribute("visibility", chosen < 0 ? "hidden" : "visible");
    cursor.setAttribute("x", (Math.max(chosen, 0) * CHART.width) / channels.length);
    show(channels[chosen]);
  };
  const keys = { ArrowLeft: () => Math.max(chosen - 1, 0), ArrowRight: () => chosen + 1,
    Home: () => 0, End: () => channels.length - 1, Escape: () => -1 };
  svg.addEventListener("keydown", (event) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    choose(keys[event.key]());
  });
  svg.addEventListener("pointermove", (event) => {
    const { left, width } = svg.getBoundingClientRect();
    choose(Math.floor(((event.clientX - left) / width) * channels.length));
  });
  for (const leave of ["pointerleave", "blur"]) svg.addEventListener(leave, () => choose(-1));
}

function element(tag, style, text = "") {
  const made = document.createElement(tag);
  made.className = style;
  made.textContent = text;
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const fixed = (value) => value.toFixed(2);
const percent = (part) => `${(100 * part).toFixed(1)} %`;
