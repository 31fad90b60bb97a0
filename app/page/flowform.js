// The controls of a network.

import { activationPart } from "./activation.js";
import { blockOf, blockPart, normalises } from "./blocks.js";
import { complaint, labelled, problem, reader } from "./controls.js";
import { h } from "./dom.js";
import { spoken, t } from "./words.js";

/** The initialisation given by the reader's own σ_w and σ_b. */
export const SIGMAS = "sigmas";

/** The controls. `read` returns their request, or null after marking invalid fields. */
export function formPart(own, functions, names, { run, changed }) {
  const message = h("div");
  const activation = activationPart(own, functions, changed);
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
  const fields = {
    depth: labelled("", text("depth", { inputmode: "numeric" })),
    normalization: labelled(t("flow.normalization"), choice("normalization", normalizations)),
    residual: labelled(t("flow.residual"), text("residual")),
    dropout: labelled(t("flow.dropout"), text("dropout", { placeholder: t("none") })),
    dropout_kind: labelled(
      t("flow.dropout_kind"),
      choice("dropout_kind", [["", t("dropout.standard")], ["alpha", t("dropout.alpha")]]),
    ),
  };
  const element = h(
    "form",
    { class: "panel", "aria-label": t("flow.network"), onsubmit: submit, novalidate: true },
    h("h2", {}, t("flow.network")),
    activation.elements,
    blockPart(own, () => {
      arrange();
      changed();
    }),
    fields.depth,
    labelled(t("flow.width"), text("width", { inputmode: "text" })),
    labelled(t("flow.init"), choice("init", inits)),
    sigmas,
    fields.normalization,
    fields.residual,
    h("div", { class: "pair" }, fields.dropout, fields.dropout_kind),
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
  return { element, read, ready: activation.ready() };

  async function submit(event) {
    event.preventDefault();
    await activation.ready(); // the facts of a new formula may still be loading
    run();
  }

  function set(key, value) {
    own[key] = value;
    arrange();
    changed();
  }

  /** Shows the fields that apply to this network. */
  function arrange() {
    const recurrent = own.block?.name === "recurrent";
    sigmas.hidden = own.init !== SIGMAS;
    fields.depth.firstChild.textContent = t(own.block ? (recurrent ? "flow.times" : "flow.blocks") : "flow.depth");
    fields.depth.querySelector("input").disabled = sizes().length > 1;
    fields.normalization.hidden = own.block !== null && !normalises(own.block);
    fields.residual.hidden = own.block !== null;
    fields.dropout.hidden = recurrent;
    fields.dropout_kind.hidden = recurrent || !own.dropout.trim();
  }

  function sizes() {
    return own.width.split(/[\s,;×]+/).filter(Boolean);
  }

  /** Whether the field applies to this network and is filled in. */
  function given(key) {
    return own[key].trim() !== "" && !fields[key].hidden;
  }

  function read(quietly = false) {
    const { wrong, value } = reader(own);
    const widths = sizes().map((each) => value("width", each));
    if (!widths.length) wrong.push("width");
    const body = {
      activation: own.activation.name,
      ...(Object.keys(own.activation.params).length && { params: { ...own.activation.params } }),
      ...(widths.length > 1 ? {} : { depth: value("depth") }),
      width: widths.length > 1 ? widths : widths[0],
      init: own.init === SIGMAS ? { sigma_w: value("sigma_w"), sigma_b: value("sigma_b") } : own.init,
      ...(own.block && { block: blockOf(own.block, wrong) }),
      ...(given("normalization") && { normalization: own.normalization }),
      ...(given("residual") && { residual: { scale: value("residual") } }),
      ...(given("dropout") && {
        dropout: { rate: value("dropout"), ...(own.dropout_kind && { kind: own.dropout_kind }) },
      }),
      networks: value("networks"),
      seed: value("seed"),
    };
    const unread = complaint(element, wrong, "flow");
    message.replaceChildren(...(unread && !quietly ? [problem(unread)] : []));
    return unread ? null : body;
  }
}
