// PReLU's slopes change as the network learns; leaky ReLU's stays as chosen.

import { fromJson } from "../../numbers.js";
import { grid, hues, line, Plot, rows, strokes, words } from "../plot.js";
import { small, Training } from "../training.js";

const STEPS = 300;
const EDGE = 2;

const body = (slope) =>
  small(
    [
      { activation: "prelu", params: { weight: slope } },
      { activation: "leaky_relu", params: { negative_slope: slope } },
    ],
    0.3,
    { steps: STEPS },
  );

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "b",
  control: { low: 0, high: 1, step: 0.01, value: 0.25 },
  async open(tools) {
    const { stage, say, read, table } = tools;
    const curves = new Plot(stage, { label: say("picture.curves"), height: 190 });
    const slopes = new Plot(stage, { label: say("picture.slopes"), height: 190 });
    let slope = 0;
    const film = new Training(tools, draw);
    return film.scene((value) => {
      slope = value;
      return body(slope);
    });

    async function draw() {
      const { blue, pink, quiet } = hues();
      const learned = film.frames.map(({ activations }) =>
        [0, 1].map((layer) => fromJson(activations[0].layers[layer].learned.weight.median)),
      );
      const now = learned[film.at] ?? [slope, slope];
      const came = film.result?.activations;
      const to99 = (index) => {
        const steps = came ? fromJson(came[index].steps_to["99"].median) : "…";
        return [`to99.${["prelu", "leaky"][index]}`, steps, 4, steps === Infinity ? say("never", { steps: STEPS }) : ""];
      };
      read([["fixed", slope], ["first", now[0], 3], ["second", now[1], 3], to99(0), to99(1)]);
      table(
        [say("t.step"), say("r.first"), say("r.second"), say("r.fixed"), say("t.loss.prelu"), say("t.loss.leaky")],
        film.frames.map(({ step, activations }, place) => [
          step,
          ...learned[place],
          slope,
          fromJson(activations[0].loss.median),
          fromJson(activations[1].loss.median),
        ]),
      );
      const steps = film.frames.slice(0, film.at + 1).map(({ step }) => step);
      const bend = (weight) => {
        const xs = grid(-EDGE, EDGE, 3);
        return rows(xs, xs.map((x) => (x < 0 ? weight * x : x)));
      };
      const name = (text, y) => [{ x: steps.at(-1) ?? 0, y, text }];
      const reach = learned.flat().concat(slope, 0, 1);
      const ends = [Math.min(...reach) - 0.2, Math.max(...reach) + 0.2];
      const gap = slopes.wordy * (ends[1] - ends[0]);
      const apart = Math.abs(now[0] - now[1]) < gap ? (gap - Math.abs(now[0] - now[1])) / 2 : 0;
      const up = now[0] >= now[1] ? apart : -apart;
      await Promise.all([
        curves.draw({
          x: { title: "x", domain: [-EDGE, EDGE] },
          y: { title: "f(x)", domain: [-EDGE, EDGE] },
          layer: [line("fixed", quiet, { strokeDash: [5, 4] }), line("first", blue), line("second", pink)],
          datasets: { fixed: bend(slope), first: bend(now[0]), second: bend(now[1]) },
        }),
        slopes.draw({
          x: { title: say("axis.step"), domain: [0, STEPS * slopes.room(64)], values: [0, 100, 200, 300] },
          y: { title: say("axis.slope"), domain: ends },
          layer: [
            strokes("fixed", quiet, { strokeDash: [5, 4], strokeWidth: 2 }),
            words("fixedLabel", quiet, { dx: 6, dy: 12 }),
            line("first", blue),
            line("second", pink),
            words("firstLabel", blue, { dx: 6, fontWeight: 600 }),
            words("secondLabel", pink, { dx: 6, fontWeight: 600 }),
          ],
          datasets: {
            fixed: [{ x: 0, x2: STEPS, y: slope, y2: slope }],
            fixedLabel: [{ x: STEPS, y: slope, text: say("l.fixed") }],
            first: rows(steps, learned.map(([each]) => each)),
            second: rows(steps, learned.map(([, each]) => each)),
            firstLabel: name(say("l.first"), now[0] + up),
            secondLabel: name(say("l.second"), now[1] - up),
          },
        }),
      ]);
    }
  },
};
