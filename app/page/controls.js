// Parts that several views share.

import { Failure } from "./api.js";
import { h, math } from "./dom.js";
import { number, plain, shown } from "./numbers.js";
import { has, said, t } from "./words.js";

/** What may go better at a second try, with nothing changed. */
const PASSING = ["busy", "late", "server", "unreachable", "cut", "picture"];

/** Says what went wrong, here; where trying `again` may help, it is offered as a button. */
export function problem(error, again) {
  if (!(error instanceof Failure)) throw error;
  if (error.kind === "key") dispatchEvent(new CustomEvent("key-wanted"));
  const [detail] = error.details;
  const own = ["unreadable", "ragged", "number", "server", "examples"].includes(error.kind);
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", {}, t(`problem.${error.kind}`, { detail })),
    !own && error.details.map((each) => h("p", { class: "detail", lang: "en" }, each)),
    again &&
      PASSING.includes(error.kind) &&
      h("button", { type: "button", class: "plain", onclick: () => again() }, t("page.again")),
  );
}

/** Says that a picture cannot be drawn; `redrawn` takes it back. */
export function undrawn(error, again) {
  const told = problem(error, again);
  told.dataset.picture = "";
  return told;
}

/** Takes away what `message` says of a picture: it is drawn now. */
export const redrawn = (message) => message.querySelector("[data-picture]")?.remove();

/** Takes away what `message` says of a request: it is another one now. */
export function outdated(message) {
  for (const each of message.querySelectorAll(".problem:not([data-picture])")) each.remove();
}

/** Whether the page can set all parameters: numbers with a default. */
export const adjustable = (facts) => facts.parameters.filter((each) => !each.shape && each.default != null);

/**
 * Takes out of `params`, as a link gave them, what no control could mend: names that the function does not have,
 * and values that are no numbers. What was taken out is said.
 */
export function mended(facts, params) {
  const known = new Set(adjustable(facts).map(({ name }) => name));
  const wrong = Object.keys(params).filter((name) => !known.has(name) || !Number.isFinite(params[name]));
  for (const name of wrong) delete params[name];
  const words = (name) => t(known.has(name) ? "link.unreadable" : "link.unknown", { name });
  return wrong.map((name) => h("p", { class: "problem", role: "alert" }, words(name)));
}

/** Takes out of a link's functions those that cannot be used here, and says so. */
export function strangers(functions, byName) {
  const lost = functions.filter(({ name }) => !byName.has(name));
  for (const each of lost) functions.splice(functions.indexOf(each), 1);
  return lost.map(({ name }) => h("p", { class: "problem", role: "alert" }, t("link.function", { name })));
}

/** Sliders with number fields for a function's parameters. `params` holds what differs from the defaults. */
export function sliders(facts, params, changed) {
  return adjustable(facts).map((each) => slider(facts, each, params, changed));
}

function slider(facts, parameter, params, changed) {
  const { name, symbol, description, typical } = parameter;
  const [low, high] = typical;
  const usual = Number(parameter.default);
  const step = 10 ** Math.floor(Math.log10((high - low) / 100));
  const label = `${name}: ${said(description)}`;
  const value = params[name] ?? usual;
  const range = h("input", {
    type: "range",
    min: low,
    max: high,
    step,
    "aria-label": label,
    oninput: () => set(Number(range.value), field),
  });
  range.value = value;
  const field = h("input", {
    type: "text",
    inputmode: "decimal",
    size: 7,
    "aria-label": label,
    value: shown(value, 12),
    oninput: typed,
  });

  function typed() {
    const given = number(field.value);
    field.setAttribute("aria-invalid", String(given === undefined));
    if (given !== undefined) set(given, range);
  }

  function set(given, mirror) {
    mirror.value = mirror === field ? shown(given, 12) : plain(given);
    if (given === usual && !parameter.required) delete params[name];
    else params[name] = given;
    changed();
  }

  return h(
    "div",
    { class: "parameter", title: said(description) },
    h(
      "span",
      { class: "symbol" },
      facts.mathml[symbol] && math(facts.mathml[symbol]),
      h("span", { class: "name" }, name),
    ),
    range,
    field,
  );
}

/** A function's card: its name after what stands before it, a cross that takes it away, and what it has below. */
export function card(title, remove, before, ...below) {
  const cross = { type: "button", class: "icon", "aria-label": t("explore.remove", { name: title }), onclick: remove };
  const head = h("div", { class: "row" }, before, h("strong", {}, title), h("button", cross, "×"));
  return h("li", { class: "card" }, head, below);
}

/** Number fields of a form. `value(key)` is what `own` says, noted in `wrong` where it is no number. */
export function reader(own) {
  const wrong = [];
  const value = (key, text = own[key]) => {
    const found = number(text);
    if (!Number.isFinite(found)) wrong.push(key);
    return found;
  };
  return { wrong, value };
}

/** Marks the fields of `form` that are `wrong`; what is to be said of them, with the words of `view`, or null. */
export function complaint(form, wrong, view) {
  for (const input of form.querySelectorAll("input[name]"))
    input.setAttribute("aria-invalid", String(wrong.includes(input.name)));
  const words = [...new Set(wrong)].map((key) => t(has(`short.${key}`) ? `short.${key}` : `${view}.${key}`));
  return wrong.length ? new Failure("number", [words.join(", ")]) : null;
}

/** A choice among functions by their titles. */
export function functionChoice(functions, current, changed, id) {
  const options = functions.map(({ name, title }) => h("option", { value: name }, said(title)));
  return h("select", { id, value: current, onchange: ({ target }) => changed(target.value) }, options);
}

/** A field with its label. */
export function labelled(text, control, hint) {
  return h("label", { class: "field" }, h("span", {}, text), control, hint && h("small", {}, hint));
}

/** A cell with a number, all of its digits behind it. */
export function figure(value, digits) {
  return h("td", { class: "number", title: plain(value) }, shown(value, digits));
}
