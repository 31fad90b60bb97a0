// Compare: every function with its properties and its measured cost, sorted and filtered as the reader likes.

import { catalogue, facts, Failure, get, send } from "./api.js";
import { callBox } from "./calls.js";
import { adjustable, problem } from "./controls.js";
import { h, math } from "./dom.js";
import { fromJson, shown, toNpy } from "./numbers.js";
import { side } from "./sheet.js";
import { address, remember, state } from "./state.js";
import { language, said, t } from "./words.js";

const COUNT = 8192; // elements for which the cost is measured
const REPEATS = 3;

const FILTERS = {
  zero: (each) => each.zero_centred,
  unsaturated: (each) => !each.saturates.length,
  smooth: (each) => fromJson(each.smoothness) >= 1 && !each.kinks.length,
};

const COLUMNS = [
  { key: "curve", words: "compare.curve", cell: (each) => h("td", {}, thumbnail(each.name)) },
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
const curves = new Map();

/** The part of the plane shown in every thumbnail. */
const [LEFT, RIGHT, BOTTOM, TOP] = [-4, 4, -2, 4];

/** Curves per request. */
const AT_ONCE = 21;

export async function compare(main) {
  const own = state.compare;
  const leaving = new AbortController();
  const loaded = [];
  const lines = new Map(); // existing rows, so that redrawing keeps the selection
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
      const functions = await catalogue();
      const all = functions.map(async ({ name }, index) => {
        loaded[index] = await facts(name);
        show();
      });
      const plain = functions.filter(({ kind }) => kind === "elementwise").map(({ name }) => name);
      await Promise.all([...all, ...chunks(plain).map(draw)]);
      if (!costs.size) await measure();
    } catch (error) {
      message.replaceChildren(problem(error, () => message.replaceChildren() ?? load()));
    }
  }

  async function draw(names) {
    const query = new URLSearchParams([...names.map((each) => ["name", each]), ["low", LEFT], ["high", RIGHT]]);
    const { datasets } = await get(`/plots/functions.vl.json?${query}`);
    for (const name of names)
      curves.set(
        name,
        datasets.curves.filter(({ series }) => series === name),
      );
    for (const name of names) lines.delete(name);
    show();
  }

  function head(column) {
    if (!column.value) return h("th", { scope: "col" }, t(column.words));
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
    const rows = loaded.filter(Boolean).filter(
      (each) => matches(each, wanted) && own.only.every((key) => FILTERS[key]?.(each) ?? true),
    );
    const column = COLUMNS.find(({ key }) => key === own.sort);
    if (column) rows.sort(order(column, own.descending));
    for (const [index, each] of heads.entries()) {
      const sorted = COLUMNS[index] === column && (own.descending ? "descending" : "ascending");
      if (sorted) each.ariaSort = sorted;
      else each.removeAttribute("aria-sort");
    }
    const wantedRows = rows.map(row);
    for (const each of [...body.children]) if (!wantedRows.includes(each)) each.remove();
    for (const [index, each] of wantedRows.entries())
      if (body.children[index] !== each) body.insertBefore(each, body.children[index] ?? null);
    count.textContent = rows.length
      ? t("compare.count", { shown: rows.length, all: loaded.length })
      : t("compare.nothing");
  }

  function row(each) {
    if (!lines.has(each.name))
      lines.set(
        each.name,
        h(
          "tr",
          {},
          COLUMNS.map((one) => (one.cell ?? numberCell)(each, one)),
        ),
      );
    return lines.get(each.name);
  }

  async function measure() {
    message.replaceChildren();
    again.disabled = true;
    again.textContent = t("compare.measuring");
    try {
      const inputs = toNpy(Array.from({ length: COUNT }, normal));
      for (const each of loaded.filter(measurable)) {
        costs.set(each.name, await cost(each, inputs, leaving.signal));
        lines.get(each.name)?.lastChild.replaceWith(numberCell(each, COLUMNS.at(-1)));
      }
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

/** Adds a function to the chosen ones. */
function nameCell(each) {
  const open = () => {
    const { functions } = state.explore;
    const there = functions.findIndex(({ name }) => name === each.name);
    const all = there < 0 ? [...functions, { name: each.name, params: {} }] : functions;
    return address("explore", { ...state.explore, functions: all, focus: there < 0 ? all.length - 1 : there });
  };
  const link = h("a", { href: open() }, said(each.title));
  return h("th", { scope: "row" }, link, " ", h("code", {}, each.name));
}

const chunks = (names) =>
  Array.from({ length: Math.ceil(names.length / AT_ONCE) }, (_, index) =>
    names.slice(AT_ONCE * index, AT_ONCE * (index + 1)),
  );

const SVG = "http://www.w3.org/2000/svg";

/** The curve as a small picture, from the service's samples. */
function thumbnail(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "thumbnail");
  svg.setAttribute("viewBox", `${LEFT} ${-TOP} ${RIGHT - LEFT} ${TOP - BOTTOM}`);
  svg.setAttribute("aria-hidden", "true");
  const axes = `M${LEFT} 0H${RIGHT}M0 ${-TOP}V${-BOTTOM}`;
  const lines = (curves.get(name) ?? []).map(({ x, y }) => path(x, y)).join("");
  for (const [kind, d] of [
    ["axes", axes],
    ["curve", lines],
  ]) {
    const each = document.createElementNS(SVG, "path");
    each.setAttribute("class", kind);
    each.setAttribute("d", d);
    if (d && (kind === "curve" || lines)) svg.append(each);
  }
  return svg;
}

function path(xs, ys) {
  let pen = "M";
  let text = "";
  for (const [index, y] of ys.entries()) {
    if (y === null) pen = "M";
    else {
      text += `${pen}${xs[index].toFixed(2)} ${(-y).toFixed(2)}`;
      pen = "L";
    }
  }
  return text;
}

function numberCell(each, { value, digits }) {
  return h("td", { class: "number" }, shown(value(each), digits ?? 5));
}

const measurable = (each) =>
  each.parameters.every((parameter) => !parameter.required) || adjustable(each).length > 0;

/** Nanoseconds per element by the service's own clock, without the network. */
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
