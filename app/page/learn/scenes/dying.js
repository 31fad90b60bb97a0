// Raise the learning rate: units of ReLU turn grey one after the other; leaky ReLU's do not.

import { post } from "../../api.js";
import { h } from "../../dom.js";
import { fromJson } from "../../numbers.js";
import { hues, line, Plot, rows, words } from "../plot.js";
import { small, Training } from "../training.js";

const NAMES = ["relu", "leaky_relu"];
const LAYERS = [16, 16];
const UNITS = LAYERS[0] + LAYERS[1];
const STEPS = 300;

const body = (rate) => small(NAMES, rate, { hidden: LAYERS, steps: STEPS });

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "b",
  control: { low: 0.5, high: 8, step: 0.5, value: 5 },
  async open(tools) {
    const { stage, say, read, table, signal } = tools;
    const panels = NAMES.map((name) => unitsPart(say(`f.${name}`)));
    stage.append(h("div", { class: "maps two" }, panels.map(({ element }) => element)));
    const plot = new Plot(stage, { label: say("picture"), height: 170 });
    const inputs = [2, -2];
    const slopes = await Promise.all(
      NAMES.map(async (name) => {
        const { derivative } = await post("/activate", { function: name, inputs }, { signal });
        return derivative.map(fromJson);
      }),
    );
    const film = new Training(tools, draw);
    return film.scene(body);

    async function draw() {
      const { green, pink } = hues();
      const now = film.frame?.activations;
      for (const [index, panel] of panels.entries()) panel.draw(now ? counts(now[index]) : LAYERS.map(() => 0), say);
      const dead = NAMES.map((_, index) => film.frames.map(({ activations }) => sum(counts(activations[index]))));
      const came = film.result?.activations;
      read([
        ...NAMES.flatMap((name, index) => [
          [`dead.${name}`, dead[index][film.at] ?? "…"],
          [`forGood.${name}`, came?.[index].dead_units.median ?? "…"],
          [`accuracy.${name}`, now?.[index].accuracy.median ?? "…", 3],
        ]),
        ["slope.above", slopes[0][0]],
        ["slope.below", slopes[0][1]],
        ["slope.leaky", slopes[1][1]],
      ]);
      table(
        [say("t.step"), ...NAMES.flatMap((name) => [say(`t.dead.${name}`), say(`t.loss.${name}`)])],
        film.frames.map(({ step, activations }, place) => [
          step,
          ...NAMES.flatMap((_, index) => [dead[index][place], fromJson(activations[index].loss.median)]),
        ]),
      );
      const steps = film.frames.slice(0, film.at + 1).map(({ step }) => step);
      const ends = NAMES.map((name, index) => ({ x: steps.at(-1) ?? 0, y: (dead[index][film.at] ?? 0) + 1.4, text: say(`f.${name}`) }));
      ends[0].y = Math.max(ends[0].y, ends[1].y + plot.wordy * (UNITS + 1));
      await plot.draw({
        x: { title: say("axis.step"), domain: [0, STEPS * plot.room(88)], values: [0, 100, 200, 300] },
        y: { title: say("axis.dead"), domain: [-1, UNITS], values: [0, 8, 16, 24, 32] },
        layer: [
          line("relu", green, { interpolate: "step-after" }),
          line("leaky", pink, { interpolate: "step-after" }),
          words("reluLabel", green, { dx: 6, fontWeight: 600 }),
          words("leakyLabel", pink, { dx: 6, fontWeight: 600 }),
        ],
        datasets: {
          relu: rows(steps, dead[0]),
          leaky: rows(steps, dead[1]),
          reluLabel: [ends[0]],
          leakyLabel: [ends[1]],
        },
      });
    }
  },
};

const sum = (values) => values.reduce((all, each) => all + each, 0);

/** Dead units of each hidden layer. */
const counts = ({ layers }) => LAYERS.map((units, layer) => Math.round(units * fromJson(layers[layer].dead_fraction.median)));

function unitsPart(name) {
  const layers = LAYERS.map((units) => Array.from({ length: units }, () => h("span", { class: "unit" })));
  const note = h("span", { class: "quiet" });
  const element = h(
    "figure",
    { class: "units" },
    layers.map((units) => h("div", { class: "layer", "aria-hidden": "true" }, units)),
    h("figcaption", {}, h("strong", {}, name), " ", note),
  );
  return {
    element,
    draw(dead, say) {
      for (const [layer, units] of layers.entries())
        for (const [place, unit] of units.entries())
          unit.classList.toggle("dead", place >= units.length - dead[layer]);
      note.textContent = say("dead", { dead: sum(dead), units: UNITS });
    },
  };
}
