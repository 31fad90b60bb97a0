// The choice of functions: checkboxes for the catalogue, and a field for formulas.

import { Failure } from "./api.js";
import { problem } from "./controls.js";
import { h } from "./dom.js";
import { firstValues, nameOf } from "./formulas.js";
import { said, t } from "./words.js";

/** Checkboxes for the catalogue's functions, with a search field. The event `sync` sets the checkboxes to the state. */
export function choicePart(functions, own, update) {
  const boxes = functions.map(({ name, title }) => {
    const box = h("input", { type: "checkbox", onchange: () => toggle(name, box.checked) });
    return {
      name,
      box,
      label: h("label", {}, box, said(title)),
      words: `${name} ${title.en} ${title.ko}`.toLowerCase(),
    };
  });
  const nothing = h("p", { class: "quiet", hidden: true }, t("explore.none"));
  const find = h("input", {
    type: "search",
    placeholder: t("explore.find"),
    "aria-label": t("explore.find"),
    oninput: filter,
  });
  const element = h(
    "details",
    { class: "choice", onsync: sync },
    h("summary", {}, t("explore.choose")),
    find,
    h(
      "div",
      { class: "options", role: "group", "aria-label": t("explore.functions"), tabindex: 0 },
      boxes.map(({ label }) => label),
    ),
    nothing,
  );
  sync();
  return element;

  function sync() {
    for (const { name, box } of boxes) box.checked = own.functions.some((each) => each.name === name);
  }

  function filter() {
    const wanted = find.value.trim().toLowerCase();
    for (const { label, words } of boxes) label.hidden = !words.includes(wanted);
    nothing.hidden = boxes.some(({ label }) => !label.hidden);
  }

  function toggle(name, on) {
    if (on) own.functions.push({ name, params: {} });
    else own.functions = own.functions.filter((each) => each.name !== name);
    if (on) own.focus = own.functions.length - 1;
    return update();
  }
}

/** A field for a function of the reader's own. */
export function formulaPart(own, update) {
  const message = h("div");
  const field = h("input", {
    type: "text",
    class: "formula",
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    placeholder: "x * tanh(softplus(b * x))",
    id: "formula",
    oninput: () => message.replaceChildren(),
  });
  return h(
    "form",
    { class: "own-formula", onsubmit: add, novalidate: true },
    h("label", { for: "formula" }, t("explore.formulaOwn")),
    h("div", { class: "row" }, field, h("button", { type: "submit", class: "plain" }, t("explore.add"))),
    message,
    h("p", { class: "quiet" }, t("explore.formulaHint")),
  );

  async function add(event) {
    event.preventDefault();
    if (!field.value.trim()) return field.focus();
    const name = nameOf(field.value);
    try {
      own.functions.push({ name, params: await firstValues(name) });
      own.focus = own.functions.length - 1;
      field.value = "";
      await update();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      message.replaceChildren(problem(error));
    }
  }
}

/** The first function of each kind of saturation: on both sides, on both and zero-centred, on the negative side only. */
export function introductory(functions) {
  const both = functions.filter(({ saturates }) => saturates.length === 2);
  const found = [
    both[0],
    both.find((each) => each.zero_centred),
    functions.find(({ saturates }) => String(saturates) === "negative"),
  ];
  return found.filter(Boolean).length ? found.filter(Boolean) : functions.slice(0, 1);
}
