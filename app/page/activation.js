// The choice of an activation: one of the catalogue's or the reader's own formula, with its parameters.

import { functionChoice, labelled, mended, problem, sliders, strangers } from "./controls.js";
import { h } from "./dom.js";
import { described, firstValues, isFormula, nameOf, textOf } from "./formulas.js";
import { t } from "./words.js";

/** The entry of the list that stands for a formula instead of a function of the catalogue. */
const FORMULA = "formula";

/** Sets `own.activation` to the link's activation if it can be used, else to `usual`; returns a message in that case. */
export function usable(own, byName, usual) {
  const named = own.activation ? [own.activation] : [];
  const lost = strangers(named, byName);
  if (!named.length) own.activation = { name: usual, params: {} };
  return lost;
}

/**
 * The controls of `own.activation`. `changed(fresh)` is called after every change, with true if the function is
 * another one. `other` is an additional choice that is not a function: its name and its text. `ready()` waits for
 * requests that are under way.
 */
export function activationPart(own, functions, changed, { label = t("flow.activation"), other = [] } = {}) {
  const parameters = h("div");
  const message = h("div");
  const select = functionChoice(functions, own.activation.name, picked);
  select.append(h("option", { value: FORMULA }, t("activation.formula")));
  const [otherName, otherWords] = other;
  if (otherName) select.prepend(h("option", { value: otherName }, otherWords));
  const text = h("input", {
    type: "text",
    class: "formula",
    "aria-label": t("activation.own"),
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    placeholder: "x * tanh(softplus(b * x))",
    oninput: () => message.replaceChildren(),
    onchange: typed,
  });
  const field = labelled(t("activation.own"), text, t("explore.formulaHint"));
  let turn = 0;
  let looking = show();
  return {
    elements: [labelled(label, select), field, message, parameters],
    async ready() {
      for (let waited = null; waited !== looking; ) {
        waited = looking;
        await waited;
      }
    },
  };

  function picked(name) {
    message.replaceChildren();
    if (name !== FORMULA) return chosen({ name, params: {} });
    field.hidden = false;
    parameters.replaceChildren();
    if (text.value.trim()) typed();
    else text.focus();
  }

  function typed() {
    if (text.value.trim()) chosen({ name: nameOf(text.value), params: {} });
  }

  function chosen(activation) {
    looking = take(activation);
  }

  async function take(activation) {
    turn += 1;
    const mine = turn;
    try {
      if (isFormula(activation.name)) activation.params = await firstValues(activation.name);
    } catch (error) {
      if (mine === turn) message.replaceChildren(problem(error, typed));
      return;
    }
    if (mine !== turn) return;
    own.activation = activation;
    await show();
    await changed(true);
  }

  /** Sets the controls to the state. */
  async function show() {
    const { name } = own.activation;
    field.hidden = !isFormula(name);
    if (isFormula(name)) text.value = textOf(name);
    select.value = isFormula(name) ? FORMULA : name;
    if (name === otherName) return parameters.replaceChildren();
    try {
      const { facts, notes } = await looked();
      if (name !== own.activation.name) return;
      parameters.replaceChildren(...notes, ...sliders(facts, own.activation.params, () => changed(false)));
      if (notes.length) changed(false);
    } catch (error) {
      parameters.replaceChildren(problem(error, show));
    }
  }

  /** The facts about the activation; unsuitable parameters of a link are removed or given an initial value. */
  async function looked() {
    const { name, params } = own.activation;
    const needed = isFormula(name) ? await firstValues(name) : {};
    const facts = await described({ name, params: { ...needed, ...inside(params, needed) } });
    const notes = mended(facts, params);
    for (const [key, value] of Object.entries(needed)) params[key] ??= value;
    return { facts, notes };
  }
}

/** Those of `params` that are numbers and belong to the function. */
function inside(params, wanted) {
  return Object.fromEntries(Object.entries(params).filter(([key, value]) => key in wanted && Number.isFinite(value)));
}
