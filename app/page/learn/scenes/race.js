// The same data, the same seeds: boundaries that form side by side, and how many steps each network takes to 99 %.

import { h } from "../../dom.js";
import { fromJson } from "../../numbers.js";
import { Field } from "../field.js";
import { hues, line, Plot, rows, words } from "../plot.js";
import { small, Training } from "../training.js";

const RUNNERS = [
  { name: "sigmoid", hue: "blue" },
  { name: "tanh", hue: "pink" },
  { name: "relu", hue: "green" },
];

const STEPS = 400;

const body = (rate) =>
  small(
    RUNNERS.map(({ name }) => name),
    Number(rate),
    { init: "fair", steps: STEPS, runs: 4, watch: { boundary: 32 } },
  );

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "c",
  control: { choices: ["0.1", "0.3", "1"], value: "0.3" },
  async open(tools) {
    const { stage, say, read, table } = tools;
    const maps = h("div", { class: "maps three" });
    stage.append(maps);
    const fields = RUNNERS.map(
      ({ name, hue }) => new Field(maps, { name: say(`f.${name}`), hue, label: say("picture.map") }),
    );
    const plot = new Plot(stage, { label: say("picture.loss"), height: 200 });
    const film = new Training(tools, draw);
    return film.scene(body);

    async function draw() {
      const colors = hues();
      const now = film.frame?.activations;
      for (const [index, field] of fields.entries())
        field.draw(
          now?.[index].boundary,
          film.start?.boundary,
          now ? say("accuracy", { percent: Math.round(100 * now[index].accuracy.median) }) : "",
        );
      figures();
      const seen = film.frames.slice(0, film.at + 1);
      const losses = RUNNERS.map((_, index) =>
        rows(
          seen.map(({ step }) => step),
          seen.map(({ activations }) => fromJson(activations[index].loss.median)),
        ),
      );
      await plot.draw({
        x: { title: say("axis.step"), domain: [0, STEPS * plot.room(78)], values: [0, 100, 200, 300, 400] },
        y: { title: say("axis.loss"), domain: [0, 1] },
        layer: RUNNERS.flatMap(({ name, hue }) => [
          line(name, colors[hue]),
          words(`${name}Label`, colors[hue], { dx: 6, fontWeight: 600 }),
        ]),
        datasets: Object.fromEntries(
          RUNNERS.flatMap(({ name }, index) => [
            [name, losses[index]],
            [`${name}Label`, apart(losses, index, plot.wordy).map((each) => ({ ...each, text: say(`f.${name}`) }))],
          ]),
        ),
      });
    }

    function figures() {
      if (!film.result) return read(RUNNERS.map(({ name }) => [`to99.${name}`, "…"]));
      const came = film.result.activations;
      read([
        ...RUNNERS.map(({ name }, index) => {
          const steps = fromJson(came[index].steps_to["99"].median);
          return [`to99.${name}`, steps, 4, Number.isFinite(steps) ? "" : say("never", { steps: STEPS })];
        }),
        ...RUNNERS.map(({ name }, index) => [`ns.${name}`, came[index].timing.nanoseconds_per_element.median, 2]),
      ]);
      return table(
        [say("t.activation"), say("t.runs"), say("t.loss"), say("t.step")],
        RUNNERS.map(({ name }, index) => [
          say(`f.${name}`),
          came[index].steps_to["99"].runs,
          came[index].loss.median,
          1e6 * came[index].timing.step_seconds.median,
        ]),
      );
    }
  },
};

/** Where a line's name goes: at its end, above or below another name that would cover it. */
function apart(lines, index, gap) {
  const ends = lines.map((each) => each.at(-1)).filter(Boolean);
  if (!ends.length) return [];
  const order = ends.map(({ y }, place) => ({ y, place })).sort((a, b) => a.y - b.y);
  let floor = -1;
  for (const each of order) {
    each.y = Math.max(each.y, floor);
    floor = each.y + gap;
  }
  return [{ x: ends[index].x, y: order.find(({ place }) => place === index).y }];
}
