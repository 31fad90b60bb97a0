// Parts that several views share.

import { Failure } from "./api.js";
import { h, math } from "./dom.js";
import { number, plain, shown } from "./numbers.js";
import { has, said, t } from "./words.js";

/** Failures after which the same request may succeed. */
const PASSING = ["busy", "late", "server", "unreachable", "cut", "picture"];

/** A message about a failure, with a button to try `again` if that may help. */
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

/** A message that a picture cannot be drawn; `redrawn` removes it. */
export function undrawn(error, again) {
  const message = problem(error, again);
  message.dataset.picture = "";
  return message;
}

/** Removes the message about a picture, which has been drawn now. */
export const redrawn = (message) => message.querySelector("[data-picture]")?.remove();

/** Removes the message about a request, which has changed. */
export function outdated(message) {
  for (const each of message.querySelectorAll(".problem:not([data-picture])")) each.remove();
}

/** Whether the page has controls for all parameters: numbers with a default. */
export const adjustable = (facts) => facts.parameters.filter((each) => !each.shape && each.default != null);

/**
 * Removes from a link's `params` what cannot be corrected in a control: unknown names, and values that are not
 * numbers. Returns messages about them.
 */
export function mended(facts, params) {
  const known = new Set(adjustable(facts).map(({ name }) => name));
  const wrong = Object.keys(params).filter((name) => !known.has(name) || !Number.isFinite(params[name]));
  for (const name of wrong) delete params[name];
  const words = (name) => t(known.has(name) ? "link.unreadable" : "link.unknown", { name });
  return wrong.map((name) => h("p", { class: "problem", role: "alert" }, words(name)));
}

/** Removes from a link's functions those that cannot be used here; returns messages about them. */
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

/** A function's card: a mark, the name, a button to remove it, and the content below. */
export function card(title, remove, before, ...below) {
  const cross = { type: "button", class: "icon", "aria-label": t("explore.remove", { name: title }), onclick: remove };
  const head = h("div", { class: "row" }, before, h("strong", {}, title), h("button", cross, "×"));
  return h("li", { class: "card" }, head, below);
}

/** Number fields of a form. `value(key)` is the value in `own`; it is added to `wrong` if it is not a number. */
export function reader(own) {
  const wrong = [];
  const value = (key, text = own[key]) => {
    const found = number(text);
    if (!Number.isFinite(found)) wrong.push(key);
    return found;
  };
  return { wrong, value };
}

/** Marks the `wrong` fields of `form`; returns a message with the texts of `view`, or null. */
export function complaint(form, wrong, view) {
  for (const input of form.querySelectorAll("input[name]"))
    input.setAttribute("aria-invalid", String(wrong.includes(input.name)));
  const words = [...new Set(wrong)].map((key) => t(has(`short.${key}`) ? `short.${key}` : `${view}.${key}`));
  return wrong.length ? new Failure("number", [words.join(", ")]) : null;
}

/** A list to choose a function from by its title. */
export function functionChoice(functions, current, changed, id) {
  const options = functions.map(({ name, title }) => h("option", { value: name }, said(title)));
  return h("select", { id, value: current, onchange: ({ target }) => changed(target.value) }, options);
}

/** A field with its label. */
export function labelled(text, control, hint) {
  return h("label", { class: "field" }, h("span", {}, text), control, hint && h("small", {}, hint));
}

/** A cell with a number, and all its digits as a tooltip. */
export function figure(value, digits) {
  return h("td", { class: "number", title: plain(value) }, shown(value, digits));
}
