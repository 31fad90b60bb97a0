// Gradient descent over two weights, sample by sample and in batches: inputs that are all positive allow two quadrants.

import { post } from "../../api.js";
import { boxes, dots, grid, hues, line, Plot, rows, words } from "../plot.js";

const SAMPLES = 8;
const RADIUS = 0.4; // of the samples around their centre
const START = [-1, 1];
const GOAL = [1, -1]; // the weights that fit every sample
const NEAR = 0.1; // the distance at which the minimum counts as reached
const STEPS = 96;
const SHARE = 0.7; // of 1/max|x|²; with more than 2 single samples diverge
const VIEW = 1.9;

const MEASURED = {
  activations: ["sigmoid", "tanh", "relu"],
  hidden: [8, 8],
  data: { kind: "rings", count: 128 },
  init: "fair",
  steps: 100,
  frames: 1,
  runs: 8,
};

/** Samples around (centre, centre), ordered so that neighbours are far apart. */
const samples = (centre) =>
  Array.from({ length: SAMPLES }, (_, index) => {
    const angle = (2 * Math.PI * ((index * 3) % SAMPLES)) / SAMPLES + 0.2;
    return [centre + RADIUS * Math.cos(angle), centre + RADIUS * Math.sin(angle)];
  });

const dot = (a, b) => a[0] * b[0] + a[1] * b[1];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1]];

/** The gradient of half the squared error of w·x against GOAL·x, mean over `batch`. */
function gradient(weights, batch) {
  const off = minus(weights, GOAL);
  const sum = [0, 0];
  for (const x of batch) {
    const error = dot(off, x);
    sum[0] += (error * x[0]) / batch.length;
    sum[1] += (error * x[1]) / batch.length;
  }
  return sum;
}

/** The weights after each step; step n uses the batch from `pick`. */
export function descend(inputs, pick) {
  const rate = SHARE / Math.max(...inputs.map((x) => dot(x, x)));
  const path = [START];
  const steps = [];
  for (let step = 0; step < STEPS; step += 1) {
    const slope = gradient(path.at(-1), pick(step));
    steps.push(slope);
    path.push(minus(path.at(-1), [rate * slope[0], rate * slope[1]]));
  }
  return { path, steps };
}

/** Figures of a path until it arrives. */
function measures({ path, steps }) {
  const arrived = path.findIndex((each) => Math.hypot(...minus(each, GOAL)) < NEAR);
  const moved = steps.slice(0, arrived < 0 ? STEPS : arrived);
  const alike = moved.filter(([a, b]) => a * b > 0).length;
  let turns = 0;
  for (let index = 1; index < moved.length; index += 1) if (dot(moved[index - 1], moved[index]) < 0) turns += 1;
  return {
    alike: alike / moved.length,
    turns,
    arrived: arrived < 0 ? Infinity : arrived,
  };
}

/** Lines of equal loss: the ellipses around GOAL whose axes are the diagonals. */
function contours(centre) {
  const slow = RADIUS ** 2 / 2;
  const fast = slow + 2 * centre ** 2;
  return [0.02, 0.08, 0.2, 0.4, 0.8].map((loss) => {
    const angles = grid(0, 2 * Math.PI, 73);
    const [long, short] = [slow, fast].map((each) => Math.sqrt((2 * loss) / each) / Math.SQRT2);
    return rows(
      angles.map((a) => GOAL[0] + long * Math.cos(a) + short * Math.sin(a)),
      angles.map((a) => GOAL[1] - long * Math.cos(a) + short * Math.sin(a)),
    );
  });
}

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "a",
  control: { low: 0, high: 0.5, step: 0.05, value: 0.5 },
  async open({ stage, say, read, table, call, fail, signal }) {
    const plot = new Plot(stage, { label: say("picture"), height: 400, class: "square" });
    let centre = 0.5;
    let inputs = [];
    let single = null;
    let batch = null;
    let found = null;
    const film = {
      length: STEPS + 1,
      at: 0,
      done: true,
      go(index) {
        film.at = index;
        return draw();
      },
    };
    call({ path: "/training", body: MEASURED });
    measured();
    return {
      film,
      show(value) {
        centre = value;
        inputs = samples(centre);
        single = descend(inputs, (step) => [inputs[step % SAMPLES]]);
        batch = descend(inputs, () => inputs);
        const before = found;
        found = [measures(single), measures(batch)];
        film.length = Math.min(STEPS, Math.max(...found.map(({ arrived }) => arrived)) + 4) + 1;
        if (before) film.at = film.length - 1; // the effect of the control is shown at once
        return draw();
      },
      redraw: draw,
    };

    /** The same fraction in real networks, as measured by the service in the second hidden layer. */
    async function measured() {
      try {
        const { frames } = await post("/training", MEASURED, { signal });
        table(
          [say("t.activation"), say("t.sample"), say("t.batch"), say("t.mean")],
          frames.at(-1).activations.map(({ activation, layers }) => [
            say(`f.${activation}`),
            layers[1].sign_agreement.sample.median,
            layers[1].sign_agreement.batch.median,
            layers[0].activation_mean.median,
          ]),
        );
      } catch (error) {
        fail(error, measured);
      }
    }

    function draw() {
      const [one, all] = found;
      read([
        ["alike", one.alike, 3],
        ["alikeBatch", all.alike, 3],
        ["turns", one.turns],
        ["arrived", one.arrived],
        ["arrivedBatch", all.arrived],
      ]);
      const { blue, red, green, quiet } = hues();
      const [a, b] = single.path[film.at];
      const held = inputs.every((each) => Math.min(...each) > 0);
      const rings = contours(centre);
      return plot.draw({
        x: { title: say("axis.first"), domain: [-VIEW, VIEW] },
        y: { title: say("axis.second"), domain: [-VIEW, VIEW] },
        layer: [
          boxes("allowed", green, { opacity: 0.16 }),
          ...rings.map((_, index) => line(`ring${index}`, quiet, { strokeWidth: 1, opacity: 0.7 })),
          line("batch", blue, { strokeWidth: 2, strokeDash: [6, 3] }),
          line("single", red, { strokeWidth: 2, strokeJoin: "round" }),
          dots("at", red, { size: 90 }),
          dots("goal", quiet, { size: 160, shape: "cross" }),
          words("goal", quiet, { dx: 12, dy: 4 }),
          words("labels", quiet, { dx: 8, dy: -10 }),
          words("corner", quiet, { dx: -8, dy: 14, align: "right" }),
        ],
        datasets: {
          allowed: held
            ? [
                { x: a, x2: VIEW, y: b, y2: VIEW },
                { x: -VIEW, x2: a, y: -VIEW, y2: b },
              ]
            : [],
          ...Object.fromEntries(rings.map((each, index) => [`ring${index}`, each])),
          batch: path(batch.path.slice(0, film.at + 1)),
          single: path(single.path.slice(0, film.at + 1)),
          at: [{ x: a, y: b }],
          goal: [{ x: GOAL[0], y: GOAL[1], text: say("goal") }],
          labels: [{ x: -VIEW, y: -VIEW, text: say(held ? "allowed" : "free") }],
          corner: held ? [{ x: VIEW, y: VIEW, text: say("allowed") }] : [],
        },
      });
    }
  },
};

const path = (points) =>
  rows(
    points.map(([x]) => x),
    points.map(([, y]) => y),
  );
