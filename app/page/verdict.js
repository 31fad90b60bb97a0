// The verdict on a network with its figures, and the figures of every layer.

import { h } from "./dom.js";
import { fromJson, logarithm, shown } from "./numbers.js";
import { has, said, spoken, t } from "./words.js";

/**
 * The parts of a network, as in the service's sentences: its part, what sets its gradient apart from that of other such
 * parts ("cell" for an LSTM, "map" for a convolution), and what its inputs are called.
 */
export function nouns({ block }) {
  const kind = block?.kind;
  const remembers = kind === "recurrent" && block.cell === "lstm";
  return {
    part: kind === "recurrent" ? "step" : kind === "residual" || kind === "transformer" ? "block" : "layer",
    size: remembers ? "cell" : kind === "convolution" ? "map" : null,
    inputs: kind === "transformer" ? "tokens" : "inputs",
  };
}

/** The page's words for `key` in such a network. */
export function worded(key, { part: its, size }, values = {}) {
  return t(size && has(`${key}.${size}`) ? `${key}.${size}` : `${key}.${its}`, values);
}

/** A state in words. */
export const stateOf = (found, { inputs }) => spoken("state", has(`state.${found}.${inputs}`) ? `${found}.${inputs}` : found);

/** A change of a request in words, or the service's name where the page has no word. */
export function inWords(change, functions) {
  return Object.entries(change)
    .filter(([, value]) => value !== "" && (value === null || typeof value !== "object" || Object.keys(value).length))
    .map(([key, value]) => `${spoken("change", key)}: ${part(key, value, functions)}`)
    .join(", ");
}

/** The value of a request's field, in words. */
export function part(key, value, functions) {
  if (value === null) return t("none");
  if (typeof value === "number") return shown(value, 4);
  if (typeof value === "object")
    return Object.entries(value)
      .map(([name, each]) =>
        name === "kind" ? spoken(key, each) : `${spoken("change", name)} ${part(name, each, functions)}`,
      )
      .join(", ");
  const known = functions.find(({ name }) => name === value);
  return key === "activation" && known ? said(known.title) : spoken(key, String(value));
}

export const badge = (found, made) => h("span", { class: `badge ${found}` }, stateOf(found, made));

/** The verdict on a run; `buttons` are placed beside its label if there are several runs. */
export function verdict({ label, answer, body }, buttons) {
  const {
    verdict: { state: found, usable_depth: usable, summary },
    gradient,
    theory,
  } = answer;
  const made = nouns(body);
  const [ratio, factor] = made.size === "cell" ? ofCells(answer) : [gradient.log10_ratio, gradient.factor_per_layer].map(middle);
  const flushed = Object.entries(gradient.underflow).filter(([, layer]) => layer !== null);
  const pairs = [
    [worded("flow.against", made), power(ratio)],
    [worded("flow.factor", made), shown(factor, 4)],
    [t("flow.theory"), theory ? power(fromJson(theory.predicted_log10_ratio)) : t("flow.noTheory")],
    [worded("flow.usable", made), shown(usable)],
    [
      t("flow.underflow"),
      flushed.length
        ? flushed.map(([format, layer]) => worded("flow.underflowAt", made, { format, layer })).join("; ")
        : t("flow.never"),
    ],
  ];
  return h(
    "article",
    { class: `verdict ${found}` },
    buttons && h("p", { class: "row nowrap" }, h("strong", {}, label), buttons),
    h("p", { class: "summary" }, badge(found, made), " ", said(summary)),
    h(
      "dl",
      { class: "strip" },
      pairs.map(([words, value]) => h("div", {}, h("dt", {}, words), h("dd", {}, value))),
    ),
  );
}

const middle = ({ median }) => fromJson(median);

/** The figure of a layer's gradient by which the network is judged. */
export const judged = (figures) => figures.cell_gradient_log10_rms ?? figures.gradient_log10_rms;

/** For an LSTM, log₁₀ of the cells' gradient at the first step over that at the last, and the factor per step. */
function ofCells({ layers, gradient }) {
  const [first, last] = [layers[0], layers.at(-1)].map((each) => middle(judged(each)));
  if (!Number.isFinite(last)) return [gradient.log10_ratio, gradient.factor_per_layer].map(middle);
  return [first - last, layers.length > 1 ? 10 ** ((first - last) / (layers.length - 1)) : null];
}

/** 10 to this power, as people write it. */
function power(exponent) {
  if (!Number.isFinite(exponent)) return shown(exponent);
  return h("span", {}, "10", h("sup", {}, logarithm(exponent)));
}

export function layerTable({ answer: { layers }, body }) {
  const made = nouns(body);
  const head = [
    worded("flow.part", made),
    t(made.size === "cell" ? "flow.gradient.cell" : "flow.gradient.layer"),
    ...["flow.band", "flow.variance", "flow.saturated", "flow.dead"].map((each) => t(each)),
  ];
  const short = (value) => (value === null ? shown(null) : shown(fromJson(value), 4));
  const percent = (value) => (value === null ? shown(null) : t("percent", { value: shown(100 * fromJson(value), 3) }));
  const rows = layers.map(
    ({ layer, preactivation_variance: variance, saturated_fraction: saturated, dead_fraction: dead, ...figures }) => {
      const gradient = judged(figures);
      return h(
        "tr",
        {},
        h("th", { scope: "row", class: "number" }, layer),
        [
          short(gradient.median),
          `${short(gradient.low)} … ${short(gradient.high)}`,
          short(variance.median),
          percent(saturated.median),
          percent(dead.median),
        ].map((each) => h("td", { class: "number" }, each)),
      );
    },
  );
  return h(
    "details",
    { class: "layers" },
    h("summary", {}, worded("flow.every", made)),
    h(
      "div",
      { class: "scroll tall", tabindex: 0, role: "region", "aria-label": worded("flow.every", made) },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            head.map((each) => h("th", { scope: "col", class: "number" }, each)),
          ),
        ),
        h("tbody", {}, rows),
      ),
    ),
  );
}
