// Compare: every function with its properties and its measured cost, sorted and filtered as the reader likes.

import { catalogue, facts, Failure, send } from "./api.js";
import { callBox } from "./calls.js";
import { adjustable, problem } from "./controls.js";
import { h, math } from "./dom.js";
import { fromJson, shown, toNpy } from "./numbers.js";
import { side } from "./sheet.js";
import { address, remember, state } from "./state.js";
import { language, said, t } from "./words.js";

const COUNT = 8192; // elements that the cost is measured on
const REPEATS = 3;

const FILTERS = {
  zero: (each) => each.zero_centred,
  unsaturated: (each) => !each.saturates.length,
  smooth: (each) => fromJson(each.smoothness) >= 1 && !each.kinks.length,
};

const COLUMNS = [
  { key: "name", words: "explore.function", value: (each) => said(each.title), cell: nameCell },
  {
    key: "range",
    words: "fact.range",
    value: (each) => each.range,
    cell: (each) => h("td", {}, math(each.mathml[each.range])),
  },
  {
    key: "zero",
    words: "fact.zero",
    value: (each) => each.zero_centred,
    cell: (each) => h("td", { class: !each.zero_centred && "pale" }, t(each.zero_centred ? "yes" : "no")),
  },
  {
    key: "saturates",
    words: "fact.saturates",
    value: (each) => each.saturates.length,
    cell: (each) => h("td", {}, t(`side.${side(each.saturates)}`)),
  },
  { key: "slope", words: "fact.slope", number: true, value: (each) => fromJson(each.largest_slope) },
  {
    key: "kinks",
    words: "fact.kinks",
    number: true,
    value: (each) => (each.kind === "rowwise" ? null : each.kinks.length),
  },
  {
    key: "gain",
    words: "fact.gain",
    help: "fact.gainHelp",
    number: true,
    value: (each) => (each.gains ? fromJson(each.gains.he) : null),
  },
  {
    key: "cost",
    words: "fact.cost",
    help: "fact.costHelp",
    number: true,
    digits: 3,
    value: (each) => costs.get(each.name) ?? null,
  },
];

const costs = new Map();

export async function compare(main) {
  const own = state.compare;
  const leaving = new AbortController();
  const loaded = [];
  const heads = COLUMNS.map(head);
  const body = h("tbody");
  const count = h("p", { class: "quiet", role: "status" }, t("loading"));
  const message = h("div");
  const again = h("button", { type: "button", class: "plain", onclick: measure }, t("compare.measure"));
  const find = h("input", {
    type: "search",
    value: own.text,
    placeholder: t("compare.find"),
    "aria-label": t("compare.find"),
    oninput: () => set({ text: find.value }),
  });
  const boxes = Object.keys(FILTERS).map((key) => {
    const box = h("input", {
      type: "checkbox",
      checked: own.only.includes(key),
      onchange: () => toggle(key, box.checked),
    });
    return h("label", { class: "chip" }, box, t(`compare.${key}`));
  });
  const calls = callBox();
  calls.show({ path: "/functions" });
  main.append(
    h("header", { class: "lead" }, h("h1", {}, t("compare.title")), h("p", {}, t("compare.lead"))),
    h(
      "div",
      { class: "row filters" },
      find,
      h("div", { class: "row", role: "group", "aria-label": t("compare.only") }, boxes),
      again,
    ),
    message,
    h(
      "div",
      { class: "scroll whole", tabindex: 0, role: "region", "aria-label": t("compare.table") },
      h("table", { class: "compare" }, h("thead", {}, h("tr", {}, heads)), body),
    ),
    count,
    h("p", { class: "quiet" }, t("fact.costHelp", { count: shown(COUNT) }), "."),
    calls.element,
  );
  load();
  return () => leaving.abort();

  async function load() {
    try {
      const names = (await catalogue()).map(({ name }) => name);
      loaded.push(...(await Promise.all(names.map(facts))));
      show();
      if (!costs.size) await measure();
    } catch (error) {
      message.replaceChildren(problem(error, () => message.replaceChildren() ?? load()));
    }
  }

  function head(column) {
    const button = h(
      "button",
      {
        type: "button",
        title: column.help && t(column.help, { count: shown(COUNT) }),
        onclick: () => sort(column),
      },
      t(column.words),
    );
    return h("th", { scope: "col", class: column.number && "number" }, button);
  }

  function sort({ key, number: numeric }) {
    const same = own.sort === key;
    set(
      same && own.descending === Boolean(numeric)
        ? { descending: !numeric }
        : same
          ? { sort: "", descending: false }
          : { sort: key, descending: Boolean(numeric) },
    );
  }

  function toggle(key, on) {
    set({ only: on ? [...own.only, key] : own.only.filter((each) => each !== key) });
  }

  function set(change) {
    Object.assign(own, change);
    remember();
    show();
  }

  function show() {
    const wanted = own.text.trim().toLowerCase();
    const rows = loaded.filter(
      (each) => matches(each, wanted) && own.only.every((key) => FILTERS[key]?.(each) ?? true),
    );
    const column = COLUMNS.find(({ key }) => key === own.sort);
    if (column) rows.sort(order(column, own.descending));
    for (const [index, each] of heads.entries()) {
      const sorted = COLUMNS[index] === column && (own.descending ? "descending" : "ascending");
      if (sorted) each.ariaSort = sorted;
      else each.removeAttribute("aria-sort");
    }
    body.replaceChildren(
      ...rows.map((each) =>
        h(
          "tr",
          {},
          COLUMNS.map((one) => (one.cell ?? numberCell)(each, one)),
        ),
      ),
    );
    count.textContent = rows.length
      ? t("compare.count", { shown: rows.length, all: loaded.length })
      : t("compare.nothing");
  }

  async function measure() {
    again.disabled = true;
    again.textContent = t("compare.measuring");
    try {
      const inputs = toNpy(Array.from({ length: COUNT }, normal));
      for (const each of loaded.filter(measurable))
        costs.set(each.name, await cost(each, inputs, leaving.signal));
    } catch (error) {
      if (error instanceof Failure && error.kind !== "cancelled") message.replaceChildren(problem(error));
    }
    again.disabled = false;
    again.textContent = t("compare.measure");
    show();
  }
}

const matches = ({ name, title }, wanted) => `${name} ${title.en} ${title.ko}`.toLowerCase().includes(wanted);

function order({ value }, descending) {
  const sign = descending ? -1 : 1;
  return (one, two) => {
    const [a, b] = [value(one), value(two)];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return sign * (typeof a === "string" ? a.localeCompare(b, language) : a - b);
  };
}

function nameCell(each) {
  const link = address("explore", {
    ...state.explore,
    functions: [{ name: each.name, params: {} }],
    focus: 0,
  });
  return h("th", { scope: "row" }, h("a", { href: link }, said(each.title)), " ", h("code", {}, each.name));
}

function numberCell(each, { value, digits }) {
  return h("td", { class: "number" }, shown(value(each), digits ?? 5));
}

const measurable = (each) =>
  each.parameters.every((parameter) => !parameter.required) || adjustable(each).length > 0;

/** Nanoseconds an element, by the service's own clock: the network is no part of it. */
async function cost({ name }, inputs, signal) {
  const path = `/activate?function=${name}&order=0`;
  const headers = { "Content-Type": "application/x-npy", Accept: "application/x-npy" };
  const times = [];
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    const response = await send(path, { body: inputs, headers, signal });
    const [, milliseconds] = /compute;dur=([\d.]+)/.exec(response.headers.get("server-timing") ?? "") ?? [];
    await response.arrayBuffer();
    if (milliseconds) times.push(Number(milliseconds));
  }
  return times.length ? (1e6 * Math.min(...times)) / COUNT : null;
}

/** A standard normal number, by Box and Muller. */
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
