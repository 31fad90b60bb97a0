// The sigmoid's curve and slope at a point that the reader drags, and s(1 − s) beside the exact slope.

import { post } from "../../api.js";
import { latest, rested } from "../../dom.js";
import { fromJson } from "../../numbers.js";
import { boxes, dots, grid, hues, line, Plot, rows, strokes, words } from "../plot.js";

const [LOW, HIGH] = [-8, 40];
const LOST = 53 * Math.log(2); // from there on 1 − σ is below half the last place of 1, and rounds to 0
const NEAR = 8; // the half width of the shown range
const LEAST = -17; // where an error of 0 is drawn: below half a unit in the last place

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const slope = (x) => Math.exp(-Math.abs(x)) / (1 + Math.exp(-Math.abs(x))) ** 2;
const naive = (x) => sigmoid(x) * (1 - sigmoid(x));

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "b",
  control: { low: LOW, high: HIGH, step: 0.1, value: 0, seconds: 10 },
  async open({ stage, say, read, table, call, fail, move, signal }) {
    const curve = new Plot(stage, { label: say("picture.curve"), height: 190 });
    const slopes = new Plot(stage, { label: say("picture.slope"), height: 150 });
    const errors = new Plot(stage, { label: say("picture.error"), height: 130 });
    curve.drag(
      () => "x",
      (_, { x }) => move(Math.max(LOW, Math.min(HIGH, Number(x.toFixed(1))))),
    );
    const places = grid(0, HIGH, 161);
    const { derivative } = await post("/activate", { function: "sigmoid", inputs: places }, { signal });
    const wrong = rows(
      places,
      places.map((x, index) => {
        const exact = fromJson(derivative[index]);
        return Math.max(LEAST, Math.log10(Math.abs(naive(x) - exact) / exact));
      }),
    );
    const asked = (x) => ({ function: "sigmoid", inputs: x, order: 1 });
    const ask = latest(async (x) => {
      try {
        const answer = await post("/activate", asked(x), { signal });
        figures(x, fromJson(answer.outputs), fromJson(answer.derivative));
        fail(null);
      } catch (error) {
        fail(error, () => ask(x));
      }
    });
    const settle = rested(ask);
    signal.addEventListener("abort", settle.stop);
    let x = 0;
    return {
      show(value) {
        x = value;
        call({ path: "/activate", body: asked(x) });
        figures(x, sigmoid(x), slope(x)); // right except for the last digit, until the service answers
        settle(x);
        return draw();
      },
    };

    function figures(at, value, exact) {
      const product = naive(at);
      read([
        ["x", at],
        ["value", value],
        ["state", say(value > 0.9 ? "on" : value < 0.1 ? "off" : "between")],
        ["slope", exact],
        ["product", product],
        ["error", Math.abs(product - exact) / exact, 2],
      ]);
      table(
        [say("t.x"), say("t.product"), say("t.exact"), say("t.error")],
        places
          .map((place, index) => [place, naive(place), fromJson(derivative[index])])
          .filter(([place]) => place % 5 === 0)
          .map(([place, product, right]) => [place, product, right, Math.abs(product - right) / right]),
      );
    }

    async function draw() {
      const { alarm, blue, red, quiet, green } = hues();
      const domain = [-NEAR, Math.max(NEAR, Math.ceil(x / 4) * 4 + (x > NEAR ? 2 : 0))];
      const xs = grid(...domain, 241);
      const tangent = [-1.6, 1.6].map((step) => x + step);
      await Promise.all([
        curve.draw({
          x: { title: null, domain },
          y: { title: "σ(x)", domain: [-0.08, 1.08], values: [0, 0.5, 1] },
          layer: [
            strokes("limits", quiet, { strokeDash: [3, 3], strokeWidth: 1 }),
            line("curve", blue),
            line("tangent", red, { strokeWidth: 2 }),
            dots("point", red, { size: 150 }),
          ],
          datasets: {
            limits: [0, 1].map((y) => ({ x: domain[0], x2: domain[1], y, y2: y })),
            curve: rows(xs, xs.map(sigmoid)),
            tangent: rows(tangent, tangent.map((at) => sigmoid(x) + slope(x) * (at - x))),
            point: [{ x, y: sigmoid(x) }],
          },
        }),
        slopes.draw({
          x: { title: null, domain },
          y: { title: "σ′(x)", domain: [0, 0.28], values: [0, 0.1, 0.2], format: ".1f" },
          layer: [
            strokes("mark", quiet, { strokeDash: [3, 3], strokeWidth: 1 }),
            words("label", quiet, { dy: -7 }),
            line("curve", green),
            strokes("drop", red),
            dots("point", red, { size: 90 }),
          ],
          datasets: {
            mark: [{ x: domain[0], x2: domain[1], y: 0.25, y2: 0.25 }],
            label: [{ x: domain[0] + 0.2, y: 0.25, text: "0.25" }],
            curve: rows(xs, xs.map(slope)),
            drop: [{ x, x2: x, y: 0, y2: slope(x) }],
            point: [{ x, y: slope(x) }],
          },
        }),
        errors.draw({
          x: { title: "x", domain: [0, HIGH] },
          y: { title: say("axis.error"), domain: [LEAST, 1], values: [-15, -10, -5, 0], labelExpr: "datum.value ? '1e' + datum.label : '1'", minExtent: 47, maxExtent: 47 },
          layer: [boxes("lost", red), line("wrong", quiet), words("label", alarm, { align: "right", dx: -6 }), strokes("here", red)],
          datasets: {
            lost: [{ x: LOST, x2: HIGH, y: LEAST, y2: 1 }],
            wrong,
            label: [{ x: LOST, y: -14.5, text: say("lost") }],
            here: x < 0 ? [] : [{ x, x2: x, y: LEAST, y2: 1 }],
          },
        }),
      ]);
    }
  },
};
