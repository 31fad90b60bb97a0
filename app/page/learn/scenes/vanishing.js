// A slider for the depth: 0.25ⁿ beside the measured gradient of networks of this depth.

import { follow } from "../../api.js";
import { latest } from "../../dom.js";
import { fromJson } from "../../numbers.js";
import { dots, grid, hues, line, Plot, rows, words } from "../plot.js";

const QUARTER = Math.log10(0.25);
const DRAWN = 8; // networks

const NETWORKS = [
  { key: "sigmoid", hue: "blue", activation: "sigmoid", init: { sigma_w: 1, sigma_b: 0 } },
  { key: "relu", hue: "green", activation: "relu", init: "he_normal" },
  { key: "xavier", hue: "pink", activation: "relu", init: "xavier_normal" },
];

const body = ({ activation, init }, depth) => ({
  activation,
  init,
  depth,
  width: 128,
  batch: 16,
  networks: DRAWN,
});

/**
 * Medians by layer, updated after each measured network. Does not wait for remedies, which the service would try
 * next.
 */
async function gradients(asked, signal, soFar) {
  const enough = new AbortController();
  signal.addEventListener("abort", () => enough.abort(), { signal: enough.signal });
  let medians = null;
  let whole = false;
  const progress = ({ stage, networks, gradient_log10_rms: found }) => {
    medians = found ? found.map(fromJson) : medians;
    if (found) soFar(medians);
    whole = stage !== "networks" || networks === DRAWN;
    if (whole) enough.abort();
  };
  try {
    const { layers } = await follow("/gradient-flow", asked, { signal: enough.signal, progress });
    return layers.map((each) => fromJson(each.gradient_log10_rms.median));
  } catch (error) {
    if (whole && medians) return medians;
    throw error;
  }
}

/** @type {import("../frame.js").Scene} */
export default {
  options: ["a", "b", "c"],
  right: "c",
  control: { low: 2, high: 30, step: 1, value: 5, seconds: 9 },
  async open({ stage, say, read, table, call, fail, tell, signal }) {
    const plot = new Plot(stage, { label: say("picture"), height: 340 });
    const known = new Map(); // finished measurements, by depth
    let depth = 0;
    let under = null; // the depth being measured, and its figures so far
    const measure = latest(async (asked) => {
      tell(say("measuring", { depth: asked }));
      try {
        const partial = NETWORKS.map(() => null);
        const soFar = (index) => (medians) => {
          partial[index] = medians;
          under = { depth: asked, partial };
          if (asked === depth) draw();
        };
        known.set(
          asked,
          await Promise.all(NETWORKS.map((each, index) => gradients(body(each, asked), signal, soFar(index)))),
        );
        fail(null);
      } catch (error) {
        fail(error, () => measure(asked));
      }
      tell("");
      if (asked === depth) await draw();
    });
    return {
      async show(value) {
        depth = value;
        call({ path: "/gradient-flow", body: body(NETWORKS[0], depth) });
        const drawn = draw();
        if (!known.has(depth)) measure(depth);
        await drawn;
      },
      redraw: draw,
    };

    async function draw() {
      const { quiet, ...own } = hues();
      const layers = grid(1, depth, depth);
      const ceiling = layers.map((layer) => (depth - layer) * QUARTER);
      const found = known.get(depth) ?? (under?.depth === depth ? under.partial : NETWORKS.map(() => null));
      const measured = found.map(
        (each) => each?.map((value) => value - each.at(-1)),
      );
      read([
        ["quarter", 0.25 ** (depth - 1), 3],
        ...NETWORKS.map(({ key }, index) => [key, measured[index] ? 10 ** measured[index][0] : "…", 3]),
      ]);
      table(
        [say("t.layer"), "0.25ⁿ", ...NETWORKS.map(({ key }) => say(`r.${key}`))],
        layers.map((layer, index) => [
          layer,
          0.25 ** (depth - layer),
          ...measured.map((each) => (each ? 10 ** each[index] : null)),
        ]),
      );
      const ends = [
        { key: "quarter", value: ceiling[0] },
        ...NETWORKS.map(({ key }, index) => ({ key, value: measured[index]?.[0] })),
      ].filter(({ value }) => value !== undefined);
      const span = Math.max(1, depth - 1);
      await plot.draw({
        x: {
          title: say("axis.layer"),
          domain: [1 - (plot.room(104) - 1) * span, depth],
          values: layers.filter((layer) => layer === 1 || layer % Math.ceil(depth / 10) === 0),
          format: "d",
        },
        y: { title: say("axis.gradient"), domain: [Math.min(-2, QUARTER * depth * 1.12), 1.2] },
        layer: [
          line("quarter", quiet, { strokeDash: [5, 4], strokeWidth: 2 }),
          ...NETWORKS.flatMap(({ key, hue }) => [line(key, own[hue]), dots(key, own[hue], { size: 26 })]),
          ...ends.map(({ key }) =>
            words(`${key}Label`, own[NETWORKS.find((each) => each.key === key)?.hue] ?? quiet, {
              dx: -8,
              dy: key === "quarter" ? -4 : key === "sigmoid" ? 9 : 3,
              align: "right",
              fontWeight: 600,
            }),
          ),
        ],
        datasets: {
          quarter: rows(layers, ceiling),
          ...Object.fromEntries(
            NETWORKS.map(({ key }, index) => [key, measured[index] ? rows(layers, measured[index]) : []]),
          ),
          ...Object.fromEntries(
            ends.map(({ key, value }) => [`${key}Label`, [{ x: 1, y: value, text: say(`l.${key}`) }]]),
          ),
        },
      });
    }
  },
};
