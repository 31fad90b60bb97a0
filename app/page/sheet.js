// The facts about one function, from its catalogue entry.

import { h, math } from "./dom.js";
import { fromJson, shown } from "./numbers.js";
import { address, state } from "./state.js";
import { said, t } from "./words.js";

const NAMES = ["f(x)", "f′(x)", "f″(x)"];
const ROWWISE = ["y", "∂y/∂x", ""];

export function factSheet(facts) {
  return h(
    "div",
    { class: "sheet" },
    facts.summary && h("p", { class: "summary" }, said(facts.summary)),
    facts.computed && h("p", { class: "quiet" }, t("fact.computed")),
    facts.same_as &&
      h("p", {}, t("fact.sameAs"), " ", h("a", { href: alone(facts.same_as) }, h("code", {}, facts.same_as))),
    h("div", { class: "columns even" }, formulas(facts), properties(facts)),
    !facts.computed && h("div", { class: "columns even" }, papers(facts), frameworks(facts)),
  );
}

function formulas({ kind, latex, definitions, mathml }) {
  const names = kind === "elementwise" ? NAMES : ROWWISE;
  const rows = latex.map((each, order) => [
    h("dt", {}, h("i", {}, names[order])),
    h("dd", {}, each === null ? t("fact.long") : math(mathml[each], { block: true })),
  ]);
  const where = Object.entries(definitions).map(([name, formula]) =>
    h("p", { class: "where" }, math(mathml[name]), " = ", math(mathml[formula])),
  );
  return h(
    "div",
    {},
    h("h3", {}, t("explore.formula")),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": t("explore.formula") },
      h("dl", { class: "formulas" }, rows),
      where.length > 0 && h("p", { class: "quiet" }, t("explore.where")),
      where,
    ),
  );
}

function properties(facts) {
  const { limits, gains, kinks } = facts;
  const pairs = [
    ["fact.range", range(facts)],
    ["fact.limits", limits.map((each) => shown(each == null ? null : fromJson(each))).join(",  ")],
    ["fact.slope", facts.largest_slope === null ? "–" : shown(fromJson(facts.largest_slope))],
    ["fact.zero", decided(facts.zero_centred)],
    ["fact.saturates", t(`saturates.${side(facts.saturates)}`)],
    ["fact.monotone", decided(facts.monotone)],
    ["fact.smoothness", smoothness(facts)],
    [
      "fact.kinks",
      kinks.length
        ? h(
            "ul",
            { class: "plainlist" },
            kinks.map((each) => kink(each)),
          )
        : t("none"),
    ],
    ["fact.gains", gains ? `${shown(fromJson(gains.standard))},  ${shown(fromJson(gains.he))}` : "–"],
  ];
  return h(
    "div",
    {},
    h("h3", {}, t("explore.properties")),
    h(
      "dl",
      { class: "facts" },
      pairs.map(([key, value]) => [h("dt", {}, t(key)), h("dd", {}, value)]),
    ),
  );
}

const decided = (fact) => (fact === null ? t("fact.undecided") : t(fact ? "yes" : "no"));

/** The range: LaTeX in the catalogue, two ends for a formula. */
function range({ range: found, mathml, kind }) {
  if (found === null) return kind === "elementwise" ? t("fact.undecided") : "–";
  if (typeof found === "string") return math(mathml[found]);
  const [low, high] = [found.low, found.high].map((each) => shown(fromJson(each)));
  return `${found.low_attained ? "[" : "("}${low}, ${high}${found.high_attained ? "]" : ")"}`;
}

/** The address of a view with this function alone. */
const alone = (name) =>
  address("explore", { ...state.explore, functions: [{ name, params: {} }], focus: 0, minus: false });

function kink({ at, derivative }) {
  return h("li", {}, t("fact.kinkAt", { at: shown(at), slope: shown(fromJson(derivative)) }));
}

/** The sides on which a function saturates, as a key of the texts. */
export function side(saturates) {
  return saturates.length === 2 ? "both" : (saturates[0] ?? "none");
}

/** How many derivatives are continuous. */
export function smoothness({ smoothness: count }) {
  const known = fromJson(count);
  if (known < 0) return t("jumps");
  return known === Infinity ? "C∞" : `C${[...String(known)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;
}

function papers({ references }) {
  const items = references.map(({ authors, title, year, identifier }) =>
    h("li", {}, `${authors} (${year}). `, h("cite", {}, title), ". ", identifier && link(identifier)),
  );
  return h("div", {}, h("h3", {}, t("explore.papers")), h("ul", { class: "plainlist", lang: "en" }, items));
}

const RESOLVERS = { arXiv: "https://arxiv.org/abs/", doi: "https://doi.org/" };

function link(identifier) {
  const [scheme, ...rest] = identifier.split(":");
  const resolver = RESOLVERS[scheme];
  return resolver ? h("a", { href: resolver + rest.join(":"), rel: "noreferrer" }, identifier) : identifier;
}

function frameworks({ frameworks: known }) {
  const items = known.map(({ names, parameters, switches }) => {
    const given = [...Object.entries(parameters), ...Object.entries(switches)].map(
      ([name, value]) => `${name}=${value ?? "…"}`,
    );
    return h(
      "li",
      {},
      names.map((each, index) => [index > 0 && ", ", h("code", {}, each)]),
      given.length > 0 && ` (${given.join(", ")})`,
    );
  });
  return h(
    "div",
    {},
    h("h3", {}, t("explore.frameworks")),
    items.length
      ? h("ul", { class: "plainlist" }, items)
      : h("p", { class: "quiet" }, t("explore.noFramework")),
  );
}
