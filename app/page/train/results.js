// The results of a training: a row for each activation, and the layers at one step.

import { h } from "../dom.js";
import { fromJson, shown } from "../numbers.js";
import { t } from "../words.js";

const percent = (value) => (value === null ? "–" : t("percent", { value: shown(100 * fromJson(value), 3) }));
const short = (value) => (value === null ? "–" : shown(fromJson(value), 3));

/** A figure, with its spread as a tooltip. */
function cell(spread, write = short) {
  const title = spread && spread.median !== null ? `${write(spread.low)} … ${write(spread.high)}` : null;
  return h("td", { class: "number", title }, spread ? write(spread.median) : "–");
}

const COLUMNS = [
  ["train.loss", ({ loss }) => cell(loss)],
  ["train.accuracy", ({ accuracy }) => cell(accuracy, percent)],
  ["train.heldOut", ({ held_out_accuracy: accuracy }) => cell(accuracy, percent)],
  ["train.to90", ({ steps_to: steps }) => reached(steps["90"])],
  ["train.to99", ({ steps_to: steps }) => reached(steps["99"])],
  ["train.deadUnits", ({ dead_units: dead }) => cell(dead)],
  ["train.path", ({ zigzag }) => cell(zigzag?.path_over_distance)],
  ["train.reversals", ({ zigzag }) => cell(zigzag?.reversals)],
  ["train.cost", ({ timing }) => cell(timing.nanoseconds_per_element)],
  ["train.diverged", ({ diverged }) => h("td", { class: "number" }, diverged.length)],
];

function reached(steps) {
  return cell(steps, (value) => (fromJson(value) === Infinity ? t("train.never") : short(value)));
}

/** A row for each activation. */
export function resultTable(titles, { activations }) {
  const rows = activations.map((each, index) =>
    h("tr", {}, h("th", { scope: "row" }, titles[index]), COLUMNS.map(([, write]) => write(each))),
  );
  return h(
    "div",
    {},
    table(t("train.results"), ["explore.function", ...COLUMNS.map(([words]) => words)], rows),
    h("p", { class: "quiet" }, t("train.spreadHint")),
  );
}

function table(label, heads, rows) {
  const head = heads.map((each, index) => h("th", { scope: "col", class: index && "number" }, t(each)));
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    h("table", { class: "results" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
  );
}

const LAYER = [
  ["train.gradient", (each) => cell(each.gradient_log10_rms)],
  ["flow.dead", (each) => cell(each.dead_fraction, percent)],
  ["flow.saturated", (each) => cell(each.saturated_fraction, percent)],
  ["train.mean", (each) => cell(each.activation_mean)],
  ["train.update", (each) => cell(each.update_to_weight)],
  ["train.sign", (each) => cell(each.sign_agreement.sample, percent)],
  ["train.histogram", (each) => h("td", {}, bars(each.histogram))],
  ["train.learned", (each) => h("td", { class: "number" }, learned(each.learned))],
];

const learned = (found) =>
  Object.entries(found)
    .map(([name, { median }]) => `${name} ${short(median)}`)
    .join(", ") || "–";

/** Each layer of one of the activations, at one step. */
export function layersPart() {
  let which = 0;
  let last = null;
  const tabs = h("div", { class: "segments", role: "group", "aria-label": t("train.which") });
  const figures = h("div");
  const element = h(
    "details",
    { class: "layers", hidden: true, ontoggle: write },
    h("summary", {}, t("train.layers")),
    h("div", { class: "row" }, tabs),
    figures,
  );
  return {
    element,
    show(titles, frame) {
      element.hidden = false;
      last = { titles, frame };
      write();
    },
  };

  function write() {
    if (!last || !element.open) return;
    const { titles, frame } = last;
    which = Math.min(which, titles.length - 1);
    if (tabs.textContent !== titles.join(""))
      tabs.replaceChildren(...titles.map((title, index) => h("button", { type: "button", onclick: () => choose(index) }, title)));
    for (const [index, tab] of [...tabs.children].entries()) tab.setAttribute("aria-pressed", String(index === which));
    const rows = frame.activations[which].layers.map((each) =>
      h("tr", {}, h("th", { scope: "row", class: "number" }, each.layer), LAYER.map(([, cellOf]) => cellOf(each))),
    );
    figures.replaceChildren(table(t("train.layers"), ["flow.layer", ...LAYER.map(([words]) => words)], rows));
  }

  function choose(index) {
    which = index;
    write();
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** A histogram as small bars. */
function bars(histogram) {
  if (!histogram?.shares.median) return "–";
  const shares = histogram.shares.median.map(fromJson);
  const most = Math.max(...shares, 1e-9);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${shares.length} 10`);
  svg.setAttribute("class", "bars");
  svg.setAttribute("role", "img");
  svg.setAttribute("preserveAspectRatio", "none");
  const [low, high] = [histogram.low, histogram.high].map((each) => shown(fromJson(each), 3));
  svg.setAttribute("aria-label", t("train.histogramOf", { low, high }));
  for (const [index, share] of shares.entries()) {
    const bar = document.createElementNS(SVG, "rect");
    const height = (10 * share) / most;
    const place = { x: index, y: 10 - height, width: 0.9, height };
    for (const [name, value] of Object.entries(place)) bar.setAttribute(name, value);
    svg.append(bar);
  }
  return h("span", { class: "row nowrap" }, low, svg, high);
}
