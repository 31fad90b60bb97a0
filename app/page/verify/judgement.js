// The judgement of a kernel: verdict, causes, and the errors of each order.

import { h } from "../dom.js";
import { fromJson, plain, shown } from "../numbers.js";
import { said, spoken, t } from "../words.js";

const NAMES = ["f(x)", "f′(x)", "f″(x)"];
const RIGHT = ["correctly_rounded", "faithful", "within_tolerance"];

const percent = (share) => t("percent", { value: share === 1 ? 100 : shown(Math.min(100 * share, 99.999), 5) });

export function judgement({ verdict, causes, candidates, orders, count, dtype }) {
  const mood = RIGHT.includes(verdict.state) ? "healthy" : "faulty";
  return h(
    "div",
    {},
    h(
      "p",
      { class: "summary" },
      h("span", { class: `badge ${mood}` }, t(`judged.${verdict.state}`)),
      " ",
      said(verdict.summary),
    ),
    causes.length > 0 && [
      h("h2", {}, t("verify.causes")),
      h("ul", { class: "plainlist causes" }, causes.map(cause)),
    ],
    candidates?.length > 0 && [h("h2", {}, t("verify.candidates")), likely(candidates)],
    orders.map((each) => order(each, count, dtype === "float64" ? 17 : 9)), // digits that distinguish any two numbers
  );
}

function cause({ cause: name, explains, summary }) {
  return h(
    "li",
    {},
    h("strong", {}, spoken("cause", name)),
    h("span", { class: "quiet" }, ` ${t("verify.explains", { share: percent(explains) })}`),
    h("p", {}, said(summary)),
  );
}

/** The most frameworks' names that are shown for a candidate. */
const NAMED = 3;

function likely(list) {
  const rows = list.map(({ function: name, params, frameworks, equal, max_ulp: most, differs }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("code", {}, name)),
      h("td", {}, Object.entries(params).map(([key, value]) => `${key} = ${shown(value, 7)}`).join(", ") || "–"),
      h("td", {}, frameworks.slice(0, NAMED).join(", ") || "–"),
      h("td", { class: "number" }, percent(equal)),
      h("td", { class: "number" }, shown(fromJson(most), 4)),
      h("td", { class: "number" }, percent(differs)),
    ),
  );
  return table(
    ["verify.candidate", "verify.params", "verify.names", "verify.equal", "verify.max", "verify.differs"],
    rows,
    t("verify.candidates"),
  );
}

function order(each, count, digits) {
  const pairs = [
    ["verify.max", shown(fromJson(each.max_ulp), 4)],
    ["verify.meanUlp", shown(each.mean_ulp, 3)],
    ["verify.rounded", percent(each.correctly_rounded)],
    ["verify.faithful", percent(each.faithful)],
    ["verify.sign", each.wrong_sign],
    ["verify.zeros", each.false_zeros],
    ["verify.infinities", each.false_infinities],
    ["verify.nans", each.false_nans],
    ["verify.notMonotone", each.not_monotone ?? "–"],
  ];
  return h(
    "section",
    { class: "order" },
    h("h2", {}, h("i", {}, NAMES[each.order]), h("span", { class: "quiet" }, ` ${t("verify.count", { count: count.toLocaleString() })}`)),
    h(
      "dl",
      { class: "strip" },
      pairs.map(([key, value]) => h("div", {}, h("dt", {}, t(key)), h("dd", {}, String(value)))),
    ),
    h("h3", {}, t("verify.histogram")),
    histogram(each.histogram),
    each.worst.length > 0 && [h("h3", {}, t("verify.worst")), worst(each.worst, digits)],
    each.special_values.length > 0 && [h("h3", {}, t("verify.special")), special(each.special_values, digits)],
  );
}

/** A histogram of the errors, on a logarithmic scale. */
function histogram(bins) {
  const last = bins.findLastIndex(({ count }) => count > 0);
  const most = Math.log10(1 + Math.max(...bins.map(({ count }) => count)));
  const rows = bins.slice(0, last + 1).map(({ ulp_up_to: end, count }) => {
    const bar = h("span", { class: "bar" });
    bar.style.width = `${(100 * Math.log10(1 + count)) / most}%`;
    return h(
      "tr",
      {},
      h("th", { scope: "row", class: "number" }, `≤ ${shown(fromJson(end), 4)}`),
      h("td", { class: "bar-cell" }, count > 0 && bar),
      h("td", { class: "number" }, count.toLocaleString()),
    );
  });
  return table(["verify.ulp", null, "verify.numbers"], rows, t("verify.histogram"));
}

function worst(list, digits) {
  const placed = list.some(({ place }) => place); // for functions that mix elements
  const rows = list.map(({ input, output, exact, rounded, ulp, condition, place }) =>
    h(
      "tr",
      {},
      [input, output, rounded].map((each) => written(each, digits)),
      h("td", { class: "number" }, exact.replaceAll("-", "−")),
      h("td", { class: "number" }, shown(fromJson(ulp), 4)),
      h("td", { class: "number" }, placed ? place.join(", ") : condition === null ? "–" : shown(condition, 3)),
    ),
  );
  return table(
    [
      ...["verify.input", "verify.output", "verify.right", "verify.exact", "verify.error"],
      placed ? "verify.place" : "verify.condition",
    ],
    rows,
    t("verify.worst"),
  );
}

function special(list, digits) {
  const rows = list.map(({ name, count, wrong, input, output, expected }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, spoken("special", name.replace("-", "minus_"))),
      [count, wrong].map((each) => h("td", { class: "number" }, each.toLocaleString())),
      [input, output, expected].map((each) => written(each, digits)),
    ),
  );
  return table(
    ["verify.kind", "verify.numbers", "verify.wrong", "verify.input", "verify.output", "verify.right"],
    rows,
    t("verify.special"),
  );
}

/** A number of the kernel's format, whose sign of 0 counts. */
function written(value, digits) {
  const number = fromJson(value);
  const text = Object.is(number, -0) ? "−0" : shown(number, digits);
  return h("td", { class: "number", title: plain(number) }, text);
}

/** Columns without numbers. */
const WORDS = ["verify.kind", "verify.candidate", "verify.params", "verify.names"];

function table(heads, rows, label) {
  const head = heads.map((each) =>
    each ? h("th", { scope: "col", class: !WORDS.includes(each) && "number" }, t(each)) : h("td", {}),
  );
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    h("table", { class: "judged" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
  );
}
