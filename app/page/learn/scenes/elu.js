// ELU's mean near zero and what its exp costs; Maxout as the upper envelope of lines that can be dragged.

import { post } from "../../api.js";
import { latest, rested } from "../../dom.js";
import { fromJson } from "../../numbers.js";
import { dots, grid, hues, line, Plot, rows, strokes, words } from "../plot.js";

const EDGE = 3;
const [BOTTOM, TOP] = [-1.3, 2.4]; // the y-range of the curves
const HANDLES = [1.5, -1.5]; // the x of each line's handle
const NEAR = 24; // pixels around a handle
const MEASURED = {
  activations: ["relu", "elu", "maxout"],
  data: { kind: "rings" },
  hidden: [16, 16],
  init: "fair",
  steps: 40,
  frames: 40,
  runs: 4,
};

const xs = grid(-EDGE, EDGE, 121);
const normal = grid(-8, 8, 641); // points of the trapezoidal rule for means over N(0, 1)
const mean = (values) =>
  values.reduce((sum, value, index) => sum + value * Math.exp(-(normal[index] ** 2) / 2), 0) * (0.025 / Math.sqrt(2 * Math.PI));

const asked = (slopes, inputs) => ({
  function: "maxout",
  inputs: inputs.map((x) => [x]),
  params: { weights: slopes.map((slope) => [[slope]]) },
  order: 0,
});

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "a",
  control: { low: -1, high: 1, step: 0.05, value: 0, seconds: 6 },
  async open({ stage, say, read, table, call, fail, move, signal }) {
    const curves = new Plot(stage, { label: say("picture.elu"), height: 190 });
    const envelope = new Plot(stage, { label: say("picture.maxout"), height: 230 });
    const value = async (name, inputs) =>
      (await post("/activate", { function: name, inputs, order: 0 }, { signal })).outputs.map(fromJson);
    const [relu, elu] = await Promise.all(["relu", "elu"].map((name) => value(name, xs)));
    const means = (await Promise.all(["relu", "elu"].map((name) => value(name, normal)))).map(mean);
    const { derivative } = await post("/activate", { function: "elu", inputs: -3 }, { signal });
    const costs = {};
    const slopes = [1, 0];
    envelope.drag(
      ({ far }) => {
        const places = HANDLES.map((x, index) => far({ x, y: slopes[index] * x }));
        const nearest = places[0] < places[1] ? 0 : 1;
        return places[nearest] < NEAR ? { index: nearest } : null;
      },
      ({ index }, { y }) => {
        const slope = Number(Math.max(-1, Math.min(1, y / HANDLES[index])).toFixed(2));
        if (index === 1) return move(slope);
        slopes[0] = slope;
        return draw();
      },
    );
    let unmeasured = false; // whether the costs could not be measured
    const points = grid(-EDGE, EDGE, 13);
    const check = latest(async () => {
      const now = [...slopes];
      try {
        const { outputs } = await post("/activate", asked(now, points), { signal });
        table(
          ["x", say("t.lines"), say("t.maxout"), "ReLU"],
          points.map((x, index) => [
            x,
            now.map((slope) => Number((slope * x).toPrecision(6))).join(",  "),
            fromJson(outputs[index][0]),
            Math.max(0, x),
          ]),
        );
        if (unmeasured) measure();
        else fail(null);
      } catch (error) {
        fail(error, check);
      }
    });
    const settle = rested(check);
    signal.addEventListener("abort", settle.stop);
    measure();
    return {
      show(slope) {
        slopes[1] = slope;
        return draw();
      },
      reset() {
        slopes[0] = 1;
      },
      redraw: draw,
    };

    async function measure() {
      try {
        const { start, activations } = await post("/training", MEASURED, { signal });
        for (const [index, { activation, parameters }] of start.networks.entries())
          costs[activation] = { parameters, ns: activations[index].timing.nanoseconds_per_element.median };
        unmeasured = false;
        fail(null);
        tell();
      } catch (error) {
        unmeasured = true;
        fail(error, check); // which measures again
      }
    }

    function tell() {
      const top = (x) => Math.max(...slopes.map((slope) => slope * x));
      read([
        ["mean.elu", means[1], 3],
        ["slope.elu", fromJson(derivative), 3],
        ["ns.elu", costs.elu?.ns ?? "…", 2],
        ["mean.relu", means[0], 3],
        ["off", Math.max(...xs.map((x) => Math.abs(top(x) - Math.max(0, x)))), 3],
        ["ns.relu", costs.relu?.ns ?? "…", 2],
        ["parameters.relu", costs.relu?.parameters ?? "…"],
        ["parameters.maxout", costs.maxout?.parameters ?? "…"],
        ["least", Math.min(...slopes.map(Math.abs)), 3],
      ]);
    }

    async function draw() {
      tell();
      call({ path: "/activate", body: asked(slopes, points) });
      settle();
      const { blue, green, pink, quiet, red } = hues();
      const beside = 0.65 * curves.wordy * (TOP - BOTTOM); // so that no line crosses the text
      const top = xs.map((x) => Math.max(...slopes.map((slope) => slope * x)));
      await Promise.all([
        curves.draw({
          x: { title: null, domain: [-EDGE, EDGE] },
          y: { title: "f(x)", domain: [BOTTOM, TOP], values: [-1, 0, 1, 2] },
          layer: [
            strokes("means", quiet, { strokeDash: [3, 3], strokeWidth: 1.5 }),
            line("relu", green, { strokeWidth: 2 }),
            line("elu", blue),
            words("names", quiet, { dx: -4, align: "right" }),
            words("eluName", blue, { dx: 8, dy: -9, fontWeight: 600 }),
            words("reluName", green, { dx: 8, dy: -9, fontWeight: 600 }),
          ],
          datasets: {
            means: means.map((y) => ({ x: 0.2, x2: EDGE, y, y2: y })),
            relu: rows(xs, relu),
            elu: rows(xs, elu),
            names: [
              { x: EDGE, y: means[1] - beside, text: say("mean.elu") },
              { x: EDGE, y: means[0] + beside, text: say("mean.relu") },
            ],
            eluName: [{ x: -EDGE, y: -0.95, text: "ELU" }],
            reluName: [{ x: -EDGE, y: 0, text: "ReLU" }],
          },
        }),
        envelope.draw({
          x: { title: "x", domain: [-EDGE, EDGE] },
          y: { title: say("axis.maxout"), domain: [-EDGE, EDGE] },
          layer: [
            line("top", red, { strokeWidth: 6, opacity: 0.45 }),
            line("first", pink, { strokeWidth: 2 }),
            line("second", blue, { strokeWidth: 2 }),
            dots("handles", quiet, { size: 170 }),
            words("names", quiet, { dx: 12, dy: 12 }),
          ],
          datasets: {
            top: rows(xs, top),
            first: rows(xs, xs.map((x) => slopes[0] * x)),
            second: rows(xs, xs.map((x) => slopes[1] * x)),
            handles: HANDLES.map((x, index) => ({ x, y: slopes[index] * x })),
            names: HANDLES.map((x, index) => ({ x, y: slopes[index] * x, text: say(`line${index + 1}`) })),
          },
        }),
      ]);
    }
  },
};
