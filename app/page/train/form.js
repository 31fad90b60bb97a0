// The controls of a training: everything that POST /training takes.

import { Failure } from "../api.js";
import { choicePart, formulaPart } from "../choice.js";
import { adjustable, card, complaint, labelled, mended, problem, reader, sliders } from "../controls.js";
import { h } from "../dom.js";
import { described } from "../formulas.js";
import { SIGMAS } from "../flowform.js";
import { parse } from "../numbers.js";
import { said, spoken, t } from "../words.js";

/** Examples of the reader's own, instead of a kind of the service's. */
const OWN = "own";

/** The place of each field in the request; an empty field is left out, for the service's default. */
const PLACES = {
  count: ["data", "count"],
  noise: ["data", "noise"],
  classes: ["data", "classes"],
  held_out: ["data", "held_out"],
  residual: ["residual", "scale"],
  learning_rate: ["optimizer", "learning_rate"],
  momentum: ["optimizer", "momentum"],
  batch: ["optimizer", "batch"],
  steps: ["steps"],
  runs: ["runs"],
  seed: ["seed"],
  frames: ["frames"],
  boundary: ["watch", "boundary"],
};

/** The controls. `read` returns their request, or null after marking invalid fields. */
export function trainForm(own, functions, byName, names, { run, changed }) {
  const cards = h("ul", { class: "cards" });
  const notes = h("div");
  const message = h("div");
  const fields = {};
  const text = (key, options = {}) => field(key, h("input", { type: "text", inputmode: "decimal", ...options }));
  const select = (key, pairs) =>
    field(
      key,
      h(
        "select",
        {},
        pairs.map(([value, words]) => h("option", { value }, words)),
      ),
    );
  const choice = choicePart(functions, own, update);
  const weights = h("input", { type: "file", accept: ".safetensors,.npz", onchange: changed });
  const worded = (kind, list) => list.map((each) => [each, spoken(kind, each)]);
  const element = h(
    "form",
    { class: "panel", "aria-label": t("train.network"), onsubmit: submit, novalidate: true },
    h("h2", {}, t("train.activations")),
    notes,
    cards,
    choice,
    h("h2", { class: "apart" }, t("train.data")),
    select("kind", [...worded("data", names.data), [OWN, t("train.own")]]),
    field(
      "examples",
      h("textarea", { rows: 5, spellcheck: "false", placeholder: "0.5, -1, 0\n0.2, 0.8, 1" }),
      t("train.examplesHint"),
    ),
    h("div", { class: "pair" }, text("count", { placeholder: "256" }), text("noise", { placeholder: "0.1" })),
    text("classes", { placeholder: "3" }),
    h("h2", { class: "apart" }, t("train.network")),
    text("hidden", { inputmode: "text" }),
    select("init", [...worded("init", names.inits), [SIGMAS, t("flow.sigmas")]]),
    h("div", { class: "pair" }, text("sigma_w"), text("sigma_b")),
    h("h2", { class: "apart" }, t("train.learning")),
    h("div", { class: "pair" }, text("learning_rate"), text("steps", { inputmode: "numeric" })),
    h(
      "div",
      { class: "pair" },
      select("optimizer", worded("optimizer", names.optimizers)),
      text("runs", { inputmode: "numeric" }),
    ),
    h(
      "details",
      { class: "more" },
      h("summary", {}, t("train.more")),
      select("loss", worded("loss", names.losses)),
      h("div", { class: "pair" }, text("momentum", { placeholder: "0" }), text("batch", { placeholder: t("train.all") })),
      select("normalization", [["", t("none")], ...worded("normalization", names.normalizations)]),
      text("residual", { placeholder: t("none") }),
      h("div", { class: "pair" }, text("held_out", { placeholder: "0" }), text("seed", { inputmode: "numeric" })),
      h("div", { class: "pair" }, text("frames", { inputmode: "numeric" }), text("boundary", { inputmode: "numeric" })),
      text("weights", { inputmode: "text", placeholder: "0 0 0; 0 0 1" }),
      labelled(t("train.start"), weights, t("train.startHint")),
    ),
    message,
    h("button", { type: "submit" }, t("train.run")),
  );
  arrange();
  return {
    element: h("div", {}, element, formulaPart(own, update)),
    read,
    files: () => (weights.files.length ? { weights: weights.files[0] } : {}),
    ready: update(),
  };

  function field(key, control, hint) {
    control.name = key;
    control.value = own[key];
    control.addEventListener(control.tagName === "SELECT" ? "change" : "input", () => {
      own[key] = control.value;
      arrange();
      changed();
    });
    fields[key] = labelled(t(`train.${key}`), control, hint);
    return fields[key];
  }

  /** Shows the fields that apply to this training. */
  function arrange() {
    const mine = own.kind === OWN;
    const hidden = {
      examples: !mine,
      count: mine,
      noise: mine || own.kind === "digits",
      classes: own.kind !== "blobs",
      sigma_w: own.init !== SIGMAS,
      sigma_b: own.init !== SIGMAS,
      momentum: own.optimizer !== "sgd",
      boundary: own.kind === "digits",
    };
    for (const [key, value] of Object.entries(hidden)) fields[key].hidden = value;
  }

  function submit(event) {
    event.preventDefault();
    run();
  }

  async function update() {
    choice.dispatchEvent(new Event("sync"));
    const settled = await Promise.allSettled(own.functions.map(described));
    notes.replaceChildren(
      ...settled.flatMap(({ value, reason }, index) =>
        value
          ? [...mended(value, own.functions[index].params), ...unlearnable(value, own.functions[index])]
          : [problem(reason, update)],
      ),
    );
    cards.replaceChildren(...settled.map(({ value }, index) => drawn(value, index)));
    changed();
  }

  function drawn(facts, index) {
    const each = own.functions[index];
    const title = said(byName.get(each.name).title);
    const remove = () => {
      own.functions.splice(index, 1);
      return update();
    };
    return card(
      title,
      remove,
      null,
      facts && sliders(facts, each.params, changed),
      facts && adjustable(facts).filter(({ learnable }) => learnable).map((parameter) => learned(each, parameter)),
    );
  }

  /** Removes from a link's trained parameters those that cannot be trained; returns messages about them. */
  function unlearnable(facts, each) {
    const possible = adjustable(facts).filter(({ learnable }) => learnable).map(({ name }) => name);
    const wrong = (each.learn ?? []).filter((name) => !possible.includes(name));
    const right = (each.learn ?? []).filter((name) => possible.includes(name));
    if (wrong.length) each.learn = right.length ? right : undefined;
    return wrong.map((name) => h("p", { class: "problem", role: "alert" }, t("link.unknown", { name })));
  }

  /** Whether a parameter is trained: as chosen, by default if networks always learn it. */
  function learned(each, { name }) {
    const box = h("input", {
      type: "checkbox",
      checked: each.learn?.includes(name) ?? false,
      onchange: () => {
        const others = (each.learn ?? []).filter((one) => one !== name);
        each.learn = box.checked ? [...others, name] : others;
        changed();
      },
    });
    box.indeterminate = !each.learn;
    return h("label", { class: "chip", title: t("train.learnHint") }, box, t("train.learn", { name }));
  }

  function read(quietly = false) {
    const { wrong, value: whole } = reader(own);
    const list = (key) =>
      own[key]
        .split(/[\s,;×]+/)
        .filter(Boolean)
        .map((each) => whole(key, each));
    const body = {
      activations: own.functions.map(({ name, params, learn }) =>
        learn || Object.keys(params).length
          ? { activation: name, params: { ...params }, ...(learn && { learn }) }
          : name,
      ),
      data: own.kind === OWN ? {} : { kind: own.kind },
      ...(!weights.files.length && { hidden: list("hidden") }),
      ...(!weights.files.length && {
        init: own.init === SIGMAS ? { sigma_w: whole("sigma_w"), sigma_b: whole("sigma_b") } : own.init,
      }),
      ...(own.normalization && { normalization: own.normalization }),
      loss: own.loss,
      optimizer: { kind: own.optimizer },
      watch: {},
    };
    for (const [key, [first, second]] of Object.entries(PLACES)) {
      if (fields[key].hidden || !own[key].trim()) continue;
      if (second) body[first] = { ...body[first], [second]: whole(key) };
      else body[first] = whole(key);
    }
    const watched = list("weights");
    if (watched.length % 3) wrong.push("weights");
    if (watched.length)
      body.watch.weights = Array.from({ length: watched.length / 3 }, (_, index) =>
        watched.slice(3 * index, 3 * index + 3),
      );
    const broken = own.kind === OWN ? examples(body) : null;
    const unread = complaint(element, wrong, "train");
    const failure = broken ?? unread;
    message.replaceChildren(...(failure && !quietly ? [problem(failure)] : []));
    if (!own.functions.length && !quietly) message.append(h("p", { class: "problem", role: "alert" }, t("train.none")));
    return failure || !own.functions.length ? null : body;
  }

  /** The reader's own examples: one per row, the target last. */
  function examples({ data, watch }) {
    try {
      const rows = parse(own.examples);
      if (!Array.isArray(rows[0])) return new Failure("examples");
      data.inputs = rows.map((row) => row.slice(0, -1));
      data.targets = rows.map((row) => row.at(-1));
      if (data.inputs[0].length > 2) delete watch.boundary;
      return null;
    } catch (error) {
      if (error instanceof Failure) return error;
      throw error;
    }
  }
}
