// The controls of a network.

import { facts, Failure } from "./api.js";
import { functionChoice, labelled, mended, problem, sliders } from "./controls.js";
import { h } from "./dom.js";
import { number } from "./numbers.js";
import { has, spoken, t } from "./words.js";

/** The initialisation that is σ_w and σ_b of one's own. */
export const SIGMAS = "sigmas";

/** The controls. `read` gives the request they describe, or null after marking what cannot be read. */
export function formPart(own, functions, names, { run, changed }) {
  const parameters = h("div");
  const message = h("div");
  const text = (key, options = {}) =>
    h("input", {
      type: "text",
      inputmode: "decimal",
      name: key,
      value: own[key],
      oninput: ({ target }) => set(key, target.value),
      ...options,
    });
  const choice = (key, pairs) =>
    h(
      "select",
      { name: key, value: own[key], onchange: ({ target }) => set(key, target.value) },
      pairs.map(([value, words]) => h("option", { value }, words)),
    );
  const inits = [...names.inits.map((each) => [each, spoken("init", each)]), [SIGMAS, t("flow.sigmas")]];
  const normalizations = [
    ["", t("none")],
    ...names.normalizations.map((each) => [each, spoken("normalization", each)]),
  ];
  const sigmas = h(
    "div",
    { class: "pair" },
    ["sigma_w", "sigma_b"].map((key) => labelled(t(`flow.${key}`), text(key))),
  );
  const depth = text("depth", { inputmode: "numeric" });
  const element = h(
    "form",
    { class: "panel", "aria-label": t("flow.network"), onsubmit: submit, novalidate: true },
    h("h2", {}, t("flow.network")),
    labelled(t("flow.activation"), functionChoice(functions, own.activation.name, chosen)),
    parameters,
    labelled(t("flow.depth"), depth),
    labelled(t("flow.width"), text("width", { inputmode: "text" })),
    labelled(t("flow.init"), choice("init", inits)),
    sigmas,
    labelled(t("flow.normalization"), choice("normalization", normalizations)),
    labelled(t("flow.residual"), text("residual")),
    h(
      "div",
      { class: "pair" },
      labelled(t("flow.networks"), text("networks", { inputmode: "numeric" })),
      labelled(t("flow.seed"), text("seed", { inputmode: "numeric" })),
    ),
    message,
    h("button", { type: "submit" }, t("flow.run")),
  );
  arrange();
  return { element, read, ready: chosen(own.activation.name) };

  function submit(event) {
    event.preventDefault();
    run();
  }

  async function chosen(name) {
    const fresh = name !== own.activation.name;
    if (fresh) own.activation = { name, params: {} };
    try {
      const known = await facts(name);
      const notes = mended(known, own.activation.params);
      parameters.replaceChildren(...notes, ...sliders(known, own.activation.params, changed));
      if (fresh || notes.length) changed();
    } catch (error) {
      parameters.replaceChildren(problem(error, () => chosen(name)));
    }
  }

  function set(key, value) {
    own[key] = value;
    arrange();
    changed();
  }

  function arrange() {
    sigmas.hidden = own.init !== SIGMAS;
    depth.disabled = sizes().length > 1;
  }

  function sizes() {
    return own.width.split(/[\s,;×]+/).filter(Boolean);
  }

  function read(quietly = false) {
    const wrong = [];
    const value = (key, given = own[key]) => {
      const found = number(given);
      if (!Number.isFinite(found)) wrong.push(key);
      return found;
    };
    const widths = sizes().map((each) => value("width", each));
    if (!widths.length) wrong.push("width");
    const body = {
      activation: own.activation.name,
      ...(Object.keys(own.activation.params).length && { params: { ...own.activation.params } }),
      ...(widths.length > 1 ? {} : { depth: value("depth") }),
      width: widths.length > 1 ? widths : widths[0],
      init: own.init === SIGMAS ? { sigma_w: value("sigma_w"), sigma_b: value("sigma_b") } : own.init,
      ...(own.normalization && { normalization: own.normalization }),
      ...(own.residual.trim() && { residual: { scale: value("residual") } }),
      networks: value("networks"),
      seed: value("seed"),
    };
    for (const input of element.querySelectorAll("input[name]"))
      input.setAttribute("aria-invalid", String(wrong.includes(input.name)));
    const words = [...new Set(wrong)].map((key) => t(has(`short.${key}`) ? `short.${key}` : `flow.${key}`));
    message.replaceChildren(
      ...(wrong.length && !quietly ? [problem(new Failure("number", [words.join(", ")]))] : []),
    );
    return wrong.length ? null : body;
  }
}
