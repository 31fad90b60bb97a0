// Verify: the numbers of a kernel, judged one by one.

import { activationPart, usable } from "../activation.js";
import { catalogue, Failure, names, post } from "../api.js";
import { callBox } from "../calls.js";
import { complaint, labelled, outdated, problem, reader } from "../controls.js";
import { h } from "../dom.js";
import { known } from "../formulas.js";
import { fromJson, MOST, npy, parse, toJson } from "../numbers.js";
import { remember, state } from "../state.js";
import { t } from "../words.js";
import { judgement } from "./judgement.js";

/** The contents of a kernel's files, named as in the request. */
const PARTS = ["outputs", "inputs", "derivative", "second_derivative"];

/** Files that are sent as they are, with all arrays of a kernel. */
const ARCHIVE = /\.(safetensors|npz)$/i;

/** Formats of which all numbers are judged if no inputs are given, and their count. */
const ALL = { 8: 256, 16: 65_536 };

/** The choice of no function: it is to be found. */
const UNNAMED = "?";

export async function verify(main) {
  const own = state.verify;
  const [functions, dtypes] = await Promise.all([catalogue(), names("DtypeName")]);
  const byName = known(functions);
  const first = functions.find(({ kind }) => kind === "elementwise");
  const lost = isUnnamed() ? [] : usable(own, byName, first.name);
  const given = {}; // the arrays by part, as nested rows
  let archive = null; // a file with all of them

  const message = h("div");
  const results = h("div", { "aria-live": "polite" });
  const status = h("p", { role: "status", class: "quiet" });
  const calls = callBox();
  const activation = activationPart(own, functions, edited, {
    label: t("verify.function"),
    other: [UNNAMED, t("verify.unnamed")],
  });
  const axisField = labelled(
    t("verify.axis"),
    h("input", {
      type: "text",
      inputmode: "numeric",
      name: "axis",
      value: own.axis,
      oninput: ({ target }) => set("axis", target.value),
    }),
  );
  const exampleButton = h("button", { type: "button", class: "plain", onclick: example }, t("verify.example"));
  const formats = (key, before) =>
    h(
      "select",
      { name: key, value: own[key], onchange: ({ target }) => set(key, target.value) },
      [...before, ...dtypes.map((each) => [each, each])].map(([value, words]) => h("option", { value }, words)),
    );
  const files = Object.fromEntries(PARTS.map((part) => [part, fileField(part)]));
  const form = h(
    "form",
    { class: "panel", "aria-label": t("verify.kernel"), onsubmit: submit, novalidate: true },
    h("h2", {}, t("verify.kernel")),
    activation.elements,
    axisField,
    labelled(t("verify.dtype"), formats("dtype", [])),
    PARTS.slice(0, 2).map((part) => files[part].element),
    h(
      "details",
      { class: "more" },
      h("summary", {}, t("train.more")),
      PARTS.slice(2).map((part) => files[part].element),
      labelled(t("verify.compute_dtype"), formats("compute_dtype", [["", t("verify.unknown")]])),
      labelled(
        t("verify.subnormals"),
        h(
          "select",
          { value: own.subnormals, onchange: ({ target }) => set("subnormals", target.value) },
          ["keep", "flush"].map((each) => h("option", { value: each }, t(`verify.${each}`))),
        ),
      ),
      labelled(
        t("verify.tolerance_ulp"),
        h("input", {
          type: "text",
          inputmode: "decimal",
          name: "tolerance_ulp",
          value: own.tolerance_ulp,
          oninput: ({ target }) => set("tolerance_ulp", target.value),
        }),
      ),
    ),
    message,
    h("button", { type: "submit" }, t("verify.run")),
    exampleButton,
  );
  const section = h("section", { class: "picture", "aria-label": t("view.verify") }, status, results);
  main.append(
    h("header", { class: "lead" }, h("h1", {}, t("verify.title")), h("p", {}, t("verify.lead"))),
    ...lost,
    h("div", { class: "columns" }, form, section),
    calls.element,
  );
  main.addEventListener("dragover", (event) => event.preventDefault());
  main.addEventListener("drop", dropped);
  results.append(h("p", { class: "quiet" }, t("verify.empty")));
  await activation.ready();
  changed();
  return () => {};

  function fileField(part) {
    const note = h("small", {});
    const input = h("input", {
      type: "file",
      name: part,
      accept: part === "outputs" ? ".npy,.csv,.txt,.tsv,.safetensors,.npz" : ".npy,.csv,.txt,.tsv",
      onchange: () => take(part, input.files[0]),
    });
    return { note, element: labelled(t(`verify.${part}`), h("span", { class: "file" }, input, note)) };
  }

  async function take(part, file) {
    delete given[part];
    archive = null;
    message.replaceChildren();
    if (file && ARCHIVE.test(file.name)) archive = file;
    else if (file) {
      try {
        if (file.size > 30 * MOST) throw new Failure("many");
        const values = file.name.endsWith(".npy") ? rows(npy(await file.arrayBuffer())) : parse(await file.text());
        if (values.flat(Infinity).length > MOST) throw new Failure("many");
        given[part] = values;
      } catch (error) {
        message.replaceChildren(problem(error));
      }
    }
    files[part].note.textContent = given[part]
      ? t("verify.taken", { name: file.name, count: given[part].flat(Infinity).length.toLocaleString() })
      : (archive?.name ?? "");
    changed();
  }

  /** A dropped file is taken for the outputs, or for the inputs if there are outputs. */
  async function dropped(event) {
    event.preventDefault();
    for (const file of event.dataTransfer.files) {
      const named = PARTS.find((part) => file.name.toLowerCase().startsWith(part));
      await take(named ?? (given.outputs ? "inputs" : "outputs"), file);
    }
    if (given.outputs || archive) await run();
  }

  function isUnnamed() {
    return own.activation?.name === UNNAMED;
  }

  function isRowwise() {
    return !isUnnamed() && byName.get(own.activation.name).kind === "rowwise";
  }

  function set(key, value) {
    own[key] = value;
    edited();
  }

  /** Called when controls change: removes messages about the last request. */
  function edited() {
    message.replaceChildren();
    outdated(results);
    status.textContent = results.querySelector(".badge") ? t("flow.changed") : "";
    changed();
  }

  function changed() {
    remember();
    axisField.hidden = !isRowwise();
    exampleButton.hidden = isRowwise();
    const { body, unread } = read();
    if (unread) return;
    const shown = { ...body, ...Object.fromEntries(Object.entries(given).map(([part, values]) => [part, few(values)])) };
    calls.show({ path: "/verify", body: { outputs: [], ...shown } });
  }

  /** The request from the controls, and the error in them, or null. */
  function read() {
    const { wrong, value } = reader(own);
    const filled = (key) => own[key].trim() && { [key]: value(key) };
    const body = {
      function: isUnnamed() ? null : own.activation.name,
      ...(Object.keys(own.activation.params).length && { params: { ...own.activation.params } }),
      ...(isRowwise() && filled("axis")),
      dtype: own.dtype,
      ...(own.compute_dtype && { compute_dtype: own.compute_dtype }),
      ...(own.subnormals !== "keep" && { subnormals: own.subnormals }),
      ...filled("tolerance_ulp"),
    };
    return { body, unread: complaint(form, wrong, "verify") };
  }

  async function submit(event) {
    event.preventDefault();
    await activation.ready(); // the facts of a new formula may still be loading
    return run();
  }

  async function run() {
    message.replaceChildren();
    if (!given.outputs && !archive) {
      message.replaceChildren(h("p", { class: "problem", role: "alert" }, t("verify.none")));
      return;
    }
    const { body, unread } = read();
    if (unread) {
      message.replaceChildren(problem(unread));
      return;
    }
    status.textContent = t("verify.judging");
    try {
      const shaped = (values) => toJson(isRowwise() ? values : values.flat(Infinity));
      const arrays = Object.fromEntries(Object.entries(given).map(([part, values]) => [part, shaped(values)]));
      const answer = archive
        ? await post("/verify", body, { files: { arrays: archive } })
        : await post("/verify", { ...body, ...arrays });
      results.replaceChildren(judgement(answer));
      status.textContent = "";
    } catch (error) {
      status.textContent = "";
      results.replaceChildren(problem(error, run));
    }
  }

  /** The function's own float32 values, cut to bfloat16 instead of rounded: a fault that many kernels have had. */
  async function example() {
    own.dtype = "bfloat16";
    form.querySelector("[name=dtype]").value = own.dtype;
    const inputs = Array.from({ length: ALL[16] }, (_, bits) => cut(bits << 16));
    status.textContent = t("verify.judging");
    try {
      const { name, params } = isUnnamed() ? { name: first.name, params: {} } : own.activation;
      const body = { function: name, params, inputs: toJson(inputs), order: 0, dtype: "float32" };
      const { outputs } = await post("/activate", body);
      const floats = new Float32Array(outputs.map(fromJson));
      given.outputs = [...new Uint32Array(floats.buffer)].map((bits) => cut(bits));
      delete given.inputs;
      archive = null;
      files.outputs.note.textContent = t("verify.exampleTaken");
      changed();
      await run();
    } catch (error) {
      status.textContent = "";
      results.replaceChildren(problem(error, example));
    }
  }
}

/** The most numbers in a call, so that it stays readable. */
const few = (values) => values.slice(0, 8).map((each) => (Array.isArray(each) ? few(each) : toJson(each)));

/** An array's numbers, as rows nested by its shape. */
function rows({ shape, values }) {
  let nested = values;
  for (const length of shape.slice(1).reverse()) {
    const slice = (_, row) => nested.slice(row * length, (row + 1) * length);
    nested = Array.from({ length: nested.length / length || 0 }, slice);
  }
  return nested;
}

/** A binary32 number without its lower sixteen bits. */
function cut(bits) {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, (bits & 0xffff0000) >>> 0);
  return view.getFloat32(0);
}
