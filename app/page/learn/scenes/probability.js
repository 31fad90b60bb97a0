// Logistic regression on points that can be dragged: the output as a probability, and the logistic cost.

import { fromJson } from "../../numbers.js";
import { dots, grid, hues, line, Plot, rows, strokes, words } from "../plot.js";
import { Training } from "../training.js";

const ZEROS = [-2.6, -2.1, -1.7, -1.2, -0.6, 0.4];
const ONES = [-0.5, 0.7, 1.1, 1.6, 2.2, 2.7];
const EDGE = 3.4;
const NEAR = 18; // pixels around a point within which it can be dragged

const body = (points) => ({
  activations: ["linear"],
  data: { inputs: points.map(({ x }) => [x]), targets: points.map(({ y }) => y) },
  hidden: [],
  init: { sigma_w: 0, sigma_b: 0 },
  optimizer: { kind: "sgd", learning_rate: 2 },
  steps: 120,
  runs: 1,
  frames: 40,
  watch: { boundary: 201 },
});

/** Classes of the points; the last point is moved by the control. */
const laid = (stray) => [
  ...ZEROS.map((x) => ({ x, y: 0 })),
  ...ONES.map((x) => ({ x, y: 1 })),
  { x: stray, y: 0 },
];

const cost = (p, y) => -Math.log(y ? p : 1 - p);

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "c",
  control: { low: -3, high: 3, step: 0.1, value: -0.2 },
  async open(tools) {
    const { stage, say, read, table, move } = tools;
    const fit = new Plot(stage, { label: say("picture.fit"), height: 230 });
    const price = new Plot(stage, { label: say("picture.cost"), height: 190 });
    let points = [];
    let own = null; // the other points, once the reader has dragged one
    const film = new Training(tools, draw);
    fit.drag(
      ({ far }) => {
        const places = points.map((each) => far(each));
        const nearest = places.indexOf(Math.min(...places));
        return places[nearest] < NEAR ? nearest : null;
      },
      (index, { x }) => {
        const to = Math.max(-3, Math.min(3, Number(x.toFixed(1))));
        if (index === points.length - 1) return move(to);
        own = points.map((each, place) => (place === index ? { ...each, x: to } : each));
        points = own;
        return again();
      },
    );
    return {
      film,
      show(stray) {
        points = (own ?? laid(stray)).map((each, place, { length }) => (place === length - 1 ? { x: stray, y: 0 } : each));
        return again();
      },
      reset() {
        own = null;
      },
      redraw: () => film.redraw(),
    };

    function again() {
      film.run(body(points));
      return film.redraw();
    }

    async function draw() {
      const { blue, red, quiet, ink, green } = hues();
      const now = film.frame?.activations[0];
      const place = film.start?.boundary;
      const curve = now ? grid(place.low[0], place.high[0], place.points).map((x, index) => ({ x, y: fromJson(now.boundary[index]) })) : [];
      const at = (x) => between(curve, x);
      const priced = points.map(({ x, y }) => ({ x, y, p: at(x), cost: cost(at(x), y) }));
      const mean = (values) => values.reduce((sum, each) => sum + each, 0) / values.length;
      const stray = priced.at(-1);
      read([
        ["p", now ? stray.p : "…", 3],
        ["cost", now ? stray.cost : "…", 3],
        ["loss", now ? fromJson(now.loss.median) : "…", 4],
        ["meanCost", now ? mean(priced.map((each) => each.cost)) : "…", 4],
        ["meanP", now ? mean(priced.map(({ p }) => p)) : "…", 3],
        ["share", mean(points.map(({ y }) => y)), 3],
      ]);
      table(
        [say("t.x"), say("t.class"), say("t.p"), say("t.cost")],
        priced.map(({ x, y, p, cost: paid }) => [x, y, now ? p : null, now ? paid : null]),
      );
      const ps = grid(0.004, 0.996, 200);
      const lane = (y) => (y ? 1.08 : -0.08); // beside the curve, to distinguish points and curve
      await Promise.all([
        fit.draw({
          x: { title: "x", domain: [-EDGE, EDGE] },
          y: { title: say("axis.p"), domain: [-0.2, 1.2], values: [0, 0.5, 1] },
          layer: [
            strokes("half", quiet, { strokeDash: [3, 3], strokeWidth: 1 }),
            line("curve", green, { strokeWidth: 3 }),
            strokes("errors", quiet, { strokeWidth: 1 }),
            dots("zeros", blue, { size: 110 }),
            dots("ones", red, { size: 110, shape: "square" }),
            dots("stray", blue, { size: 190, stroke: ink, strokeWidth: 2 }),
            words("names", quiet, { dx: 6 }),
          ],
          datasets: {
            half: [{ x: -EDGE, x2: EDGE, y: 0.5, y2: 0.5 }],
            curve: rows(
              curve.map(({ x }) => x),
              curve.map(({ y }) => y),
            ),
            errors: now ? priced.map(({ x, y, p }) => ({ x, x2: x, y: lane(y), y2: p })) : [],
            zeros: points.filter(({ y }) => !y).map(({ x }) => ({ x, y: lane(0) })),
            ones: points.filter(({ y }) => y).map(({ x }) => ({ x, y: lane(1) })),
            stray: [{ x: stray.x, y: lane(0) }],
            names: [
              { x: -EDGE, y: lane(1), text: say("one") },
              { x: 2.1, y: lane(0), text: say("zero") },
            ],
          },
        }),
        price.draw({
          x: { title: say("axis.p"), domain: [0, 1] },
          y: { title: say("axis.cost"), domain: [0, 5] },
          layer: [
            line("right", red, { strokeWidth: 1.5 }),
            line("wrong", blue, { strokeWidth: 1.5 }),
            words("labels", quiet, { dx: 8 }),
            words("label", quiet, { dx: -8, align: "right" }),
            dots("ones", red, { shape: "square" }),
            dots("zeros", blue),
            dots("stray", blue, { size: 190, stroke: ink, strokeWidth: 2 }),
          ],
          datasets: {
            right: rows(
              ps,
              ps.map((p) => cost(p, 1)),
            ),
            wrong: rows(
              ps,
              ps.map((p) => cost(p, 0)),
            ),
            labels: [{ x: 0.03, y: 4.2, text: `${say("one")}: −log p` }],
            label: [{ x: 0.97, y: 4.2, text: `${say("zero")}: −log(1 − p)` }],
            ones: now ? priced.filter(({ y }) => y).map((each) => ({ x: each.p, y: each.cost })) : [],
            zeros: now ? priced.filter(({ y }) => !y).map((each) => ({ x: each.p, y: each.cost })) : [],
            stray: now ? [{ x: stray.p, y: stray.cost }] : [],
          },
        }),
      ]);
    }
  },
};

/** The probability at x, interpolated in log odds, in which the curve is a straight line. */
function between(curve, x) {
  if (!curve.length) return 0.5;
  const width = curve[1].x - curve[0].x;
  const place = Math.max(0, Math.min(curve.length - 2, Math.floor((x - curve[0].x) / width)));
  const part = (x - curve[place].x) / width;
  const odds = [place, place + 1].map((each) => {
    const p = Math.max(5e-4, Math.min(1 - 5e-4, curve[each].y)); // the service sends three decimals
    return Math.log(p / (1 - p));
  });
  return 1 / (1 + Math.exp(-(odds[0] + part * (odds[1] - odds[0]))));
}
