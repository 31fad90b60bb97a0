// Values and slopes at the reader's own numbers.

import { post } from "./api.js";
import { figure, problem } from "./controls.js";
import { h, latest } from "./dom.js";
import { fromJson, parse, plain, textOf, toJson } from "./numbers.js";
import { LONGEST, remember } from "./state.js";
import { said, t } from "./words.js";

const SHOWN = 200; // the most numbers that are shown
const WIDEST = 8; // the longest row whose Jacobian is shown

/** Values and slopes at the reader's own numbers. */
export function numbersPart(own, byName, changed) {
  const text = h("textarea", {
    rows: 8,
    spellcheck: "false",
    value: own.numbers,
    placeholder: "-2, -1, 0, 0.5, 1, 2",
    "aria-label": t("explore.numbers"),
    oninput: typed,
    onpaste: () => setTimeout(() => compute()),
  });
  const file = h("input", {
    type: "file",
    accept: ".csv,.txt,.tsv,.npy",
    class: "hidden",
    tabindex: -1,
    "aria-hidden": "true",
    onchange: () => load(file.files[0]),
  });
  const results = h("div", { "aria-live": "polite" });
  const long = h("p", { class: "quiet", hidden: own.numbers.length <= LONGEST }, t("explore.long"));
  const element = h(
    "section",
    { class: "own" },
    h("h2", {}, t("explore.own")),
    h("p", { class: "quiet" }, t("explore.ownLead")),
    h(
      "div",
      { class: "columns even" },
      h(
        "form",
        { onsubmit: submit },
        text,
        file,
        h(
          "div",
          { class: "row" },
          h("button", { type: "submit" }, t("explore.compute")),
          h("button", { type: "button", class: "plain", onclick: () => file.click() }, t("explore.file")),
          h("button", { type: "button", class: "plain", onclick: clear }, t("explore.clear")),
        ),
        long,
      ),
      results,
    ),
  );
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    const [dropped] = event.dataTransfer.files;
    if (dropped) load(dropped);
  });
  const compute = latest(run);
  if (own.numbers) compute();
  if (own.lost) results.append(h("p", { class: "quiet" }, t("explore.lost")));
  return { element, call, stale };

  function typed() {
    own.numbers = text.value;
    own.lost = false;
    long.hidden = own.numbers.length <= LONGEST;
    if (results.querySelector("[role=alert]") || !own.numbers.trim()) results.replaceChildren();
    remember();
    changed();
  }

  function submit(event) {
    event.preventDefault();
    return compute();
  }

  function clear() {
    text.value = "";
    typed();
    results.replaceChildren();
  }

  async function load(chosen) {
    try {
      text.value = await textOf(chosen);
      typed();
      await compute();
    } catch (error) {
      results.replaceChildren(problem(error));
    }
  }

  /** Computes the results again for another function or other parameters. */
  function stale() {
    if (!own.functions.length) results.replaceChildren();
    else if (own.numbers.trim()) compute();
  }

  function asked(inputs) {
    const { name, params } = own.functions[own.focus];
    return {
      function: name,
      inputs: toJson(inputs),
      params,
      order: byName.get(name).kind === "elementwise" ? 2 : 1,
    };
  }

  function call() {
    if (!own.functions.length) return null;
    let inputs = own.x;
    try {
      const given = parse(own.numbers);
      if (given.length && own.numbers.length <= LONGEST) inputs = given;
    } catch {
      // The error is shown at the field; the call stays that of the cursor.
    }
    return { path: "/activate", body: asked(inputs) };
  }

  async function run() {
    if (!own.functions.length) return results.replaceChildren(h("p", { class: "quiet" }, t("explore.empty")));
    try {
      const inputs = parse(own.numbers);
      if (!inputs.length) return results.replaceChildren();
      const body = asked(inputs);
      results.replaceChildren(
        table(inputs, await post("/activate", body), said(byName.get(body.function).title)),
      );
    } catch (error) {
      results.replaceChildren(problem(error, compute));
    }
  }
}

function table(inputs, answer, title) {
  const elementwise = answer.second_derivative != null;
  const { names, rows } = elementwise ? perElement(inputs, answer) : perRow(inputs, answer);
  const digits = elementwise ? 10 : 5;
  const head = names.map((name) => h("th", { scope: "col", class: "number" }, name));
  const body = rows.slice(0, SHOWN).map((row) =>
    h(
      "tr",
      {},
      row.map((value) => figure(value, digits)),
    ),
  );
  return h(
    "div",
    {},
    h(
      "div",
      {
        class: "scroll tall",
        tabindex: 0,
        role: "region",
        "aria-label": t("explore.results", { name: title }),
      },
      h(
        "table",
        {},
        h("caption", {}, t("explore.results", { name: title })),
        h("thead", {}, h("tr", {}, head)),
        h("tbody", {}, body),
      ),
    ),
    rows.length > SHOWN && h("p", { class: "quiet" }, t("explore.rows", { shown: SHOWN, all: rows.length })),
    h("button", { type: "button", class: "plain", onclick: () => save(names, rows) }, t("explore.csv")),
  );
}

function perElement(inputs, { outputs, derivative, second_derivative: second }) {
  const columns = [inputs, outputs, derivative, second].map((each) => each.flat(Infinity).map(fromJson));
  return {
    names: ["x", "f(x)", "f′(x)", "f″(x)"],
    rows: columns[0].map((_, index) => columns.map((each) => each[index])),
  };
}

/** For a function that mixes a row: each output with its derivatives with respect to all inputs of the row. */
function perRow(inputs, { outputs, derivative }) {
  const matrix = (each, axes) => (axes ? each : [each]);
  const many = Array.isArray(inputs[0]);
  const wide = (many ? inputs[0] : inputs).length;
  const [given, values, slopes] = [inputs, outputs, derivative].map((each) => matrix(each, many));
  const jacobian = wide <= WIDEST;
  const alike = given[0].length === values[0].length;
  const names = [
    ...(alike ? ["x"] : []),
    "y",
    ...(jacobian ? Array.from({ length: wide }, (_, index) => `∂y/∂x${subscript(index + 1)}`) : []),
  ];
  const rows = given.flatMap((_, row) =>
    values[row].map((value, index) =>
      [...(alike ? [given[row][index]] : []), value, ...(jacobian ? slopes[row][index] : [])].map(fromJson),
    ),
  );
  return { names, rows };
}

const subscript = (index) => String.fromCodePoint(0x2080 + index);

function save(names, rows) {
  const text = [names, ...rows.map((row) => row.map(plain))].map((row) => row.join(",")).join("\n");
  const url = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
  h("a", { href: url, download: "values.csv" }).click();
  URL.revokeObjectURL(url);
}
