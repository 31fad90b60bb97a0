// The service's picture of a gradient, filled by the page: as networks finish, and with a remedy over the first.

import { post } from "./api.js";
import { theme } from "./chart.js";
import { fromJson } from "./numbers.js";
import { language } from "./words.js";

/** log10 of half the smallest subnormal: below, a number rounds to zero (IEEE 754; bfloat16 has float32's exponents). */
const ZERO = { float16: Math.log10(2 ** -25), bfloat16: -134 * Math.log10(2), float32: -150 * Math.log10(2) };

const frames = new Map();

/** The specification of the smallest network's picture: what stays when the rows change. */
async function frame({ activation, params }, look) {
  const query = new URLSearchParams(look).toString();
  if (!frames.has(query)) {
    const body = { activation, params, depth: 1, width: 1, batch: 1, networks: 1 };
    const { title, datasets, ...rest } = await post(`/plots/gradient-flow.vl.json?${query}`, body);
    frames.set(query, rest);
  }
  return frames.get(query);
}

/** The specification for these runs, each finished or under way. */
export async function flowSpec(runs, width) {
  const look = { theme: theme(), lang: language, width: Math.max(180, width - 76), height: 320 };
  const bare = await frame(runs[0].body, look);
  const layers = runs.flatMap(measured);
  const datasets = { layers, theory: runs.flatMap(predicted), limits: limits(layers) };
  return { ...(runs.length > 1 ? told(bare, runs) : bare), datasets };
}

/** With a legend that tells the runs apart, and theory in their colours. */
function told(spec, runs) {
  const names = runs.map(({ label }) => label);
  const legend = {
    title: null,
    orient: "top",
    columns: 1,
    labelLimit: spec.width,
    symbolType: "stroke",
    symbolSize: 400,
    symbolOpacity: 1,
    symbolStrokeWidth: 3,
  };
  const color = { field: "network", type: "nominal", sort: names, scale: { domain: names }, legend };
  const layer = spec.layer.map((each) =>
    ["layers", "theory"].includes(each.data?.name)
      ? { ...each, encoding: { ...each.encoding, color } }
      : each,
  );
  return { ...spec, layer };
}

function measured({ label, medians, answer }) {
  if (!answer)
    return medians.map((median, index) => ({
      network: label,
      layer: index + 1,
      median,
      low: median,
      high: median,
    }));
  return answer.layers.map(({ layer, gradient_log10_rms: { median, low, high } }) => ({
    network: label,
    layer,
    median: drawn(median),
    low: drawn(low),
    high: drawn(high),
  }));
}

/** What theory says of each layer. */
function predicted({ label, answer }) {
  return (answer?.theory?.layers ?? []).map(({ gradient_log10_rms: value }, index) => ({
    network: label,
    layer: index + 1,
    log10_rms: drawn(value),
  }));
}

/** The formats' limits that the figures reach. */
function limits(layers) {
  const figures = layers.flatMap(({ low, high }) => [low, high]).filter((each) => each !== null);
  const [lowest, highest] = [Math.min(...figures), Math.max(...figures)];
  const near = lowest - 1;
  return Object.entries(ZERO)
    .filter(([, log10]) => near <= log10 && log10 <= highest)
    .map(([format, log10]) => ({ format, log10 }));
}

function drawn(value) {
  const found = fromJson(value);
  return Number.isFinite(found) ? found : null;
}
