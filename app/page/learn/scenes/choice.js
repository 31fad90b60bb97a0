// A table of the introduction's activations: curve, steps, dead units, mean and cost.

import { post } from "../../api.js";
import { h } from "../../dom.js";
import { fromJson, plain, shown } from "../../numbers.js";
import { grid } from "../plot.js";
import { small, Training } from "../training.js";

const NAMES = ["sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "maxout"];
const STEPS = 400;
const GOALS = ["90", "99"]; // percent of accuracy
const EDGE = 4;
const DRAWN = { maxout: "formula:max(x, -0.4 * x)" }; // two lines; Maxout itself has no single curve
const SVG = "http://www.w3.org/2000/svg";

const body = (kind) => small(NAMES, 0.3, { data: { kind }, init: "fair", steps: STEPS, runs: 4, frames: 40 });

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "c",
  control: { choices: ["rings", "moons", "xor"], value: "rings" },
  async open(tools) {
    const { stage, say, read, table, signal } = tools;
    const cells = new Map();
    const lines = NAMES.map((name) => {
      const own = Object.fromEntries(
        ["accuracy", "to90", "to99", "dead", "mean", "ns"].map((key) => [key, h("td", { class: "number" }, "…")]),
      );
      cells.set(name, own);
      const curve = h("td", { class: "sketch" });
      sketch(name, say(`f.${name}`), signal).then((picture) => curve.append(picture), tools.fail);
      return h(
        "tr",
        {},
        curve,
        h("th", { scope: "row" }, say(`f.${name}`)),
        Object.values(own),
        h("td", { class: "when" }, say(`when.${name}`)),
      );
    });
    const head = ["curve", "activation", "accuracy", "90", "99", "dead", "mean", "ns", "when"];
    stage.append(
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": say("name") },
        h(
          "table",
          { class: "scoreboard" },
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              head.map((key, index) => h("th", { scope: "col", class: index > 1 && index < 8 && "number" }, say(`h.${key}`))),
            ),
          ),
          h("tbody", {}, lines),
        ),
      ),
    );
    const film = new Training(tools, draw);
    return film.scene(body);

    async function draw() {
      const now = film.frame?.activations;
      const came = film.result?.activations;
      for (const [index, name] of NAMES.entries()) {
        const own = cells.get(name);
        put(own.accuracy, now?.[index].accuracy.median, 3);
        for (const goal of GOALS) put(own[`to${goal}`], came?.[index].steps_to[goal].median, 4, "–");
        put(own.dead, came?.[index].dead_units.median, 3);
        put(own.mean, came?.[index].activation_mean[0].median, 2);
        put(own.ns, came?.[index].timing.nanoseconds_per_element.median, 2);
      }
      for (const goal of GOALS) best(NAMES.map((name) => cells.get(name)[`to${goal}`]));
      if (!came) return;
      const steps = (goal) => came.map((each) => fromJson(each.steps_to[goal].median));
      const [to90, to99] = [steps("90"), steps("99")];
      const first = (values) => {
        const least = Math.min(...values);
        return Number.isFinite(least) ? NAMES.filter((_, index) => values[index] === least).map((name) => say(`f.${name}`)).join(", ") : "–";
      };
      read([
        ["first90", first(to90)],
        ["first99", first(to99)],
      ]);
      table(
        [say("h.activation"), say("h.90"), say("h.99"), say("h.dead"), say("h.mean"), say("t.loss"), say("h.ns")],
        NAMES.map((name, index) => [
          say(`f.${name}`),
          to90[index],
          to99[index],
          came[index].dead_units.median,
          came[index].activation_mean[0].median,
          fromJson(came[index].loss.median),
          came[index].timing.nanoseconds_per_element.median,
        ]),
      );
    }
  },
};

function put(cell, value, digits, never = "∞") {
  if (value === undefined) return;
  const number = fromJson(value);
  cell.dataset.value = plain(number);
  cell.title = plain(number);
  cell.textContent = number === Infinity ? never : shown(number, digits);
}

/** Marks the cells with the fewest steps. */
function best(column) {
  const values = column.map((cell) => Number(cell.dataset.value ?? Infinity));
  const least = Math.min(...values);
  for (const [index, cell] of column.entries())
    cell.classList.toggle("best", Number.isFinite(least) && values[index] === least);
}

/** A small picture of the curve, with the axes. */
async function sketch(name, title, signal) {
  const xs = grid(-EDGE, EDGE, 49);
  const { outputs } = await post("/activate", { function: DRAWN[name] ?? name, inputs: xs, order: 0, ...(name === "prelu" && { params: { weight: 0.25 } }) }, { signal });
  const ys = outputs.map(fromJson);
  const span = Math.max(1.2, ...ys.map(Math.abs)) * 1.08;
  const [width, height] = [72, 44];
  const x = (value) => ((value + EDGE) / (2 * EDGE)) * width;
  const y = (value) => height / 2 - (value / span) * (height / 2);
  const picture = document.createElementNS(SVG, "svg");
  const add = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    picture.append(element);
  };
  for (const [key, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title }))
    picture.setAttribute(key, value);
  add("path", { d: `M0 ${height / 2}H${width}M${width / 2} 0V${height}`, class: "axes" });
  add("polyline", { points: xs.map((each, index) => `${x(each).toFixed(1)},${y(ys[index]).toFixed(1)}`).join(" "), class: "curve" });
  return picture;
}
