// Three layers of h(x) = cx are one layer of slope c³: a linear network beside one of ReLU, on two rings.

import { h } from "../../dom.js";
import { Field } from "../field.js";
import { grid, hues, line, Plot, rows, words } from "../plot.js";
import { small, Training } from "../training.js";

const WEIGHTS = [
  [
    [0.8, -0.5],
    [0.3, 1.1],
  ],
  [
    [1.2, 0.4],
    [-0.7, 0.9],
  ],
  [
    [0.6, -1.3],
    [0.5, 0.2],
  ],
];

const POINTS = [
  [1, 0],
  [0, 1],
  [-2, 3],
  [0.25, -4],
];

const body = (slope) =>
  small([{ activation: "formula:c * x", params: { c: slope } }, "relu"], 0.3, {
    hidden: [8, 8, 8],
    init: "fair",
    frames: 40,
    watch: { boundary: 32 },
  });

const times = (matrix, vector) => matrix.map((row) => row.reduce((sum, each, place) => sum + each * vector[place], 0));
const product = (left, right) => left.map((row) => right[0].map((_, place) => times([row], right.map((each) => each[place]))[0]));

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "c",
  control: { low: 0.2, high: 1.5, step: 0.1, value: 0.8 },
  async open(tools) {
    const { stage, say, read, table } = tools;
    const plot = new Plot(stage, { label: say("picture.line"), height: 190 });
    const maps = h("div", { class: "maps two" });
    stage.append(maps);
    const fields = ["linear", "relu"].map((name) => new Field(maps, { name: say(`f.${name}`), label: say("picture.map") }));
    let slope = 0;
    const film = new Training(tools, draw);
    return film.scene((value) => {
      slope = value;
      return body(slope);
    });

    /** Three layers one after the other, and the single matrix that they are. */
    function collapsed() {
      const whole = WEIGHTS.reduce((done, each) => product(each, done)).map((row) => row.map((each) => slope ** 3 * each));
      return POINTS.map((point) => {
        const through = WEIGHTS.reduce((x, each) => times(each, x).map((z) => slope * z), point);
        const once = times(whole, point);
        return { point, through, once, off: Math.max(...through.map((each, place) => Math.abs(each - once[place]))) };
      });
    }

    async function draw() {
      const { blue, green, red, quiet } = hues();
      const h1 = (x) => slope * x;
      const found = collapsed();
      const shown = film.frame?.activations;
      const accuracy = shown?.map((each) => each.accuracy.median);
      read([
        ["cubed", slope ** 3],
        ["thrice", h1(h1(h1(1)))],
        ["off", Math.max(...found.map(({ off }) => off)), 2],
        ["linear", accuracy?.[0] ?? "…", 3],
        ["relu", accuracy?.[1] ?? "…", 3],
      ]);
      const pair = (values) => `(${values.map((each) => Number(each.toPrecision(6))).join(", ")})`;
      table(
        [say("t.point"), say("t.through"), say("t.once"), say("t.off")],
        found.map(({ point, through, once, off }) => [pair(point), pair(through), pair(once), off]),
      );
      for (const [index, field] of fields.entries())
        field.draw(
          shown?.[index].boundary,
          film.start?.boundary,
          accuracy ? say("accuracy", { percent: Math.round(100 * accuracy[index]) }) : "",
        );
      const xs = grid(-2, 2, 3);
      const lines = [
        ["one", (x) => h1(x), quiet, 1],
        ["two", (x) => h1(h1(x)), blue, 1],
        ["three", (x) => h1(h1(h1(x))), red, 3],
      ];
      await plot.draw({
        x: { title: "x", domain: [-2, 2] },
        y: { title: "y", domain: [-3, 3] },
        layer: [
          line("bent", green, { strokeWidth: 1.5, strokeDash: [4, 3] }),
          words("bentLabel", green, { align: "right", dx: -4, dy: -8 }),
          ...lines.map(([name, , color, strokeWidth]) => line(name, color, { strokeWidth })),
          words("label", red, { dx: 8, dy: 12, fontWeight: 600 }),
        ],
        datasets: {
          bent: rows(grid(-2, 2, 5), grid(-2, 2, 5).map((x) => Math.max(0, x))),
          bentLabel: [{ x: 2, y: 2, text: "ReLU" }],
          ...Object.fromEntries(lines.map(([name, f]) => [name, rows(xs, xs.map(f))])),
          label: [{ x: -2, y: 3, text: `h(h(h(x))) = c³x = ${Number((slope ** 3).toPrecision(3))} x` }],
        },
      });
    }
  },
};
