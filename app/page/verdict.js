// The verdict on a network with its figures, and the figures of every layer.

import { h } from "./dom.js";
import { fromJson, logarithm, shown } from "./numbers.js";
import { said, spoken, t } from "./words.js";

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

export const badge = (found) => h("span", { class: `badge ${found}` }, t(`state.${found}`));

/** The verdict on a run; `buttons` are placed beside its label if there are several runs. */
export function verdict({ label, answer }, buttons) {
  const {
    verdict: { state: found, usable_depth: usable, summary },
    gradient,
    theory,
  } = answer;
  const ratio = fromJson(gradient.log10_ratio.median);
  const flushed = Object.entries(gradient.underflow).filter(([, layer]) => layer !== null);
  const pairs = [
    ["flow.against", power(ratio)],
    ["flow.factor", shown(fromJson(gradient.factor_per_layer.median), 4)],
    ["flow.theory", theory ? power(fromJson(theory.predicted_log10_ratio)) : t("flow.noTheory")],
    ["flow.usable", shown(usable)],
    [
      "flow.underflow",
      flushed.length
        ? flushed.map(([format, layer]) => t("flow.underflowAt", { format, layer })).join("; ")
        : t("flow.never"),
    ],
  ];
  return h(
    "article",
    { class: `verdict ${found}` },
    buttons && h("p", { class: "row nowrap" }, h("strong", {}, label), buttons),
    h("p", { class: "summary" }, badge(found), " ", said(summary)),
    h(
      "dl",
      { class: "strip" },
      pairs.map(([key, value]) => h("div", {}, h("dt", {}, t(key)), h("dd", {}, value))),
    ),
  );
}

/** 10 to this power, as people write it. */
function power(exponent) {
  if (!Number.isFinite(exponent)) return shown(exponent);
  return h("span", {}, "10", h("sup", {}, logarithm(exponent)));
}

export function layerTable({ layers }) {
  const head = ["flow.layer", "flow.gradient", "flow.band", "flow.variance", "flow.saturated", "flow.dead"];
  const short = (value) => (value === null ? shown(null) : shown(fromJson(value), 4));
  const percent = (value) => (value === null ? shown(null) : t("percent", { value: shown(100 * fromJson(value), 3) }));
  const rows = layers.map(
    ({
      layer,
      gradient_log10_rms: gradient,
      preactivation_variance: variance,
      saturated_fraction: saturated,
      dead_fraction: dead,
    }) =>
      h(
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
      ),
  );
  return h(
    "details",
    { class: "layers" },
    h("summary", {}, t("flow.everyLayer")),
    h(
      "div",
      { class: "scroll tall", tabindex: 0, role: "region", "aria-label": t("flow.everyLayer") },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            head.map((each) => h("th", { scope: "col", class: "number" }, t(each))),
          ),
        ),
        h("tbody", {}, rows),
      ),
    ),
  );
}
