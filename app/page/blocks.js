// Blocks, which depth counts instead of plain layers: the kinds, and the fields of each kind.

import { labelled } from "./controls.js";
import { h } from "./dom.js";
import { number, shown } from "./numbers.js";
import { spoken, t } from "./words.js";

const NORMS = ["pre", "post", null];

/** A factor that may also be 1/√(number of branches). */
const BRANCH = { usual: 1, word: "depth_scaled" };

/**
 * The kinds and their fields: a number with its default (null is the width), or choices, the default first. A test
 * compares them with the service's contract.
 */
export const BLOCKS = {
  residual: {
    matrices: [2, 1, 3],
    norm: ["pre", "post", "inside", null],
    skip: { usual: 1 },
    branch: BRANCH,
    ratio: { usual: 1 },
  },
  transformer: {
    heads: { usual: 8 },
    mlp_ratio: { usual: 4 },
    norm: NORMS,
    causal: [true, false],
    cross_attention: [false, true],
    branch: BRANCH,
  },
  convolution: { kernel: { usual: 3 }, size: { usual: 32 }, dimensions: [1, 2], padding: ["circular", "zeros"] },
  recurrent: {
    cell: ["rnn", "lstm", "gru"],
    layers: { usual: 1 },
    bidirectional: [false, true],
    forget_bias: { usual: 1 },
    features: { usual: null },
  },
};

/** The value of a block's field: the given choice or number, else the default. */
function standing({ name, params }, key) {
  const field = BLOCKS[name]?.[key];
  if (!field) return undefined;
  if (!Array.isArray(field)) return params[key] ?? field.usual;
  const found = field.findIndex((each) => String(each) === String(params[key]));
  return field[Math.max(0, found)];
}

/** The number in a field, or its text if that is not a number; the default for an empty field. */
const typed = (input, usual) => (input.value.trim() ? (number(input.value) ?? input.value) : usual);

/** Whether a block has a normalisation. */
export const normalises = (block) => Boolean(standing(block, "norm"));

/** The block as in a request; the names of fields that are not numbers are added to `wrong`. */
export function blockOf(block, wrong) {
  const given = Object.keys(block.params).filter((key) => key in BLOCKS[block.name]);
  const pairs = given.map((key) => [key, standing(block, key)]);
  for (const [key, value] of pairs)
    if (!Array.isArray(BLOCKS[block.name][key]) && value !== BLOCKS[block.name][key].word && !Number.isFinite(value))
      wrong.push(key);
  return { kind: block.name, ...Object.fromEntries(pairs) };
}

/** The controls of `own.block`; `changed` is called after every change. */
export function blockPart(own, changed) {
  const fields = h("div");
  const kinds = [["", t("flow.plain")], ...Object.keys(BLOCKS).map((each) => [each, spoken("block", each)])];
  const select = h(
    "select",
    { onchange: () => choose(select.value) },
    kinds.map(([value, words]) => h("option", { value }, words)),
  );
  if (own.block && !BLOCKS[own.block.name]) own.block = null;
  select.value = own.block?.name ?? "";
  arrange();
  return [labelled(t("flow.block"), select), fields];

  function choose(name) {
    own.block = name ? { name, params: {} } : null;
    arrange();
    changed();
  }

  function arrange() {
    const all = own.block ? Object.entries(BLOCKS[own.block.name]) : [];
    fields.replaceChildren(h("div", { class: "pair" }, all.flatMap(([key, field]) => control(key, field))));
  }

  function set(key, value, usual) {
    if (value === usual) delete own.block.params[key];
    else own.block.params[key] = value;
    changed();
  }

  function control(key, field) {
    const label = t(`flow.${key}`);
    if (Array.isArray(field)) return labelled(label, choice(key, field));
    const input = amount(key, field);
    return field.word ? [labelled(label, input), instead(key, field, input)] : labelled(label, input);
  }

  function choice(key, choices) {
    const options = choices.map((each) => h("option", { value: String(each) }, each === null ? t("none") : spoken(key, String(each))));
    const list = h("select", { onchange: () => set(key, choices.find((each) => String(each) === list.value), choices[0]) }, options);
    list.value = String(standing(own.block, key));
    return list;
  }

  function amount(key, { usual, word }) {
    const now = standing(own.block, key);
    const input = h("input", {
      type: "text",
      inputmode: "decimal",
      name: key,
      value: now === word || now === null ? "" : typeof now === "number" ? shown(now, 12) : now,
      placeholder: usual === null ? t("flow.asWidth") : shown(usual, 12),
      disabled: now === word,
      oninput: () => set(key, typed(input, usual), usual),
    });
    return input;
  }

  /** The word that is allowed instead of a number. */
  function instead(key, { usual, word }, input) {
    const box = h("input", {
      type: "checkbox",
      checked: input.disabled,
      onchange: () => {
        input.disabled = box.checked;
        set(key, box.checked ? word : typed(input, usual), usual);
      },
    });
    return h("label", { class: "chip" }, box, spoken(key, word));
  }
}
