// The sigmoid is stretched and lowered until it is tanh: 2σ(2x) − 1.

import { post } from "../../api.js";
import { fromJson } from "../../numbers.js";
import { dots, grid, hues, line, Plot, rows, strokes, words } from "../plot.js";

const EDGE = 5;
const FAR = 3; // where saturation is measured

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** From σ(x) at 0 to 2σ(2x) − 1 at 1. */
const between = (t) => (x) => (1 + t) * sigmoid((1 + t) * x) - t;
const slope = (t) => (x) => {
  const value = sigmoid((1 + t) * x);
  return (1 + t) ** 2 * value * (1 - value);
};

const xs = grid(-EDGE, EDGE, 201);
const body = { function: "tanh", inputs: xs, order: 1 };

/** The mean of f over standard normal inputs, by the trapezoidal rule, which is exact to the last digits here. */
function mean(f) {
  const places = grid(-9, 9, 361);
  return places.reduce((sum, x) => sum + (f(x) * Math.exp(-x * x / 2) * 0.05) / Math.sqrt(2 * Math.PI), 0);
}

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "b",
  control: { low: 0, high: 1, step: 0.02, value: 0, seconds: 4 },
  async open({ stage, say, read, table, call, signal }) {
    const curve = new Plot(stage, { label: say("picture.curve"), height: 230 });
    const slopes = new Plot(stage, { label: say("picture.slope"), height: 190 });
    call({ path: "/activate", body: { ...body, inputs: grid(-EDGE, EDGE, 11) } });
    const { outputs, derivative } = await post("/activate", body, { signal });
    const [exact, steep] = [outputs, derivative].map((each) => each.map(fromJson));
    const whole = [...xs.keys()].filter((index) => index % 20 === 0);
    table(
      ["x", "2σ(2x) − 1", "tanh x", say("t.difference"), "1 − tanh²x", say("t.slope")],
      whole.map((index) => {
        const made = between(1)(xs[index]);
        return [xs[index], made, exact[index], Math.abs(made - exact[index]), 1 - exact[index] ** 2, steep[index]];
      }),
    );
    let t = 0;
    return {
      show(value) {
        t = value;
        return draw();
      },
      redraw: draw,
    };

    async function draw() {
      const { blue, green, quiet, red } = hues();
      const f = between(t);
      const g = slope(t);
      read([
        ["mean", tidy(mean(f)), 3],
        ["steepest", g(0), 3],
        ["saturated", g(FAR), 3],
        ["difference", Math.max(...xs.map((x, index) => Math.abs(f(x) - exact[index]))), 2],
        ["low", f(-40), 3],
        ["high", f(40), 3],
      ]);
      const name = t === 0 ? "σ(x)" : t === 1 ? "2σ(2x) − 1" : "…";
      await Promise.all([
        curve.draw({
          x: { title: null, domain: [-EDGE, EDGE] },
          y: { title: "f(x)", domain: [-1.12, 1.12], values: [-1, 0, 1] },
          layer: [
            strokes("mean", red, { strokeWidth: 2 }),
            line("tanh", quiet, { strokeDash: [5, 4], strokeWidth: 2 }),
            line("curve", blue),
            words("name", blue, { dx: 8, dy: 16, fontWeight: 600 }),
            words("target", quiet, { dx: 8, dy: -8 }),
            words("meanName", red, { dy: -8, dx: -6, align: "right" }),
          ],
          datasets: {
            mean: [{ x: -EDGE, x2: EDGE, y: mean(f), y2: mean(f) }],
            tanh: rows(xs, exact),
            curve: rows(xs, xs.map(f)),
            name: [{ x: 1.4, y: f(1.4), text: name }],
            target: [{ x: -EDGE, y: -1, text: "tanh x" }],
            meanName: [{ x: EDGE, y: mean(f), text: say("mean") }],
          },
        }),
        slopes.draw({
          x: { title: "x", domain: [-EDGE, EDGE] },
          y: { title: "f′(x)", domain: [0, 1.08], values: [0, 0.25, 0.5, 0.75, 1], format: ".2f" },
          layer: [
            line("tanh", quiet, { strokeDash: [5, 4], strokeWidth: 2 }),
            line("curve", green),
            dots("far", red, { size: 90 }),
            words("farName", red, { dy: -12, align: "center" }),
          ],
          datasets: {
            tanh: rows(xs, steep),
            curve: rows(xs, xs.map(g)),
            far: [-FAR, FAR].map((x) => ({ x, y: g(x) })),
            farName: [{ x: FAR, y: g(FAR), text: say("far") }],
          },
        }),
      ]);
    }
  },
};

/** 0 for a mean that differs from 0 only by rounding. */
const tidy = (value) => (Math.abs(value) < 1e-12 ? 0 : value);
