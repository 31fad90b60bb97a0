// Verify: the numbers of a kernel, judged one by one.

import { catalogue, Failure, names, post } from "../api.js";
import { callBox } from "../calls.js";
import { functionChoice, labelled, mended, problem, sliders } from "../controls.js";
import { h } from "../dom.js";
import { described, isFormula, known, nameOf, textOf } from "../formulas.js";
import { fromJson, MOST, npy, number, parse, toJson } from "../numbers.js";
import { remember, state } from "../state.js";
import { t } from "../words.js";
import { judgement } from "./judgement.js";

/** What a kernel's files hold, in the words of the request. */
const PARTS = ["outputs", "inputs", "derivative", "second_derivative"];

/** Files that the service reads itself: all arrays of a kernel in one. */
const ARCHIVE = /\.(safetensors|npz)$/i;

/** Formats whose numbers are all judged where no inputs are given, and how many they are. */
const ALL = { 8: 256, 16: 65_536 };

/** Choices of the list that are no function of the catalogue: a formula, and whichever function it is. */
const FORMULA = "formula";
const UNNAMED = "?";

export async function verify(main) {
  const own = state.verify;
  const [functions, dtypes] = await Promise.all([catalogue(), names("DtypeName")]);
  const byName = known(functions);
  const first = functions.find(({ kind }) => kind === "elementwise");
  if (!byName.has(own.activation?.name ?? "") && !isUnnamed()) own.activation = { name: first.name, params: {} };
  const given = {}; // the arrays by part, rows in rows
  let archive = null; // a file that holds all of them

  const parameters = h("div");
  const message = h("div");
  const results = h("div", { "aria-live": "polite" });
  const status = h("p", { role: "status", class: "quiet" });
  const calls = callBox();
  const select = functionChoice(functions, own.activation.name, picked);
  select.append(h("option", { value: FORMULA }, t("verify.formula")));
  select.prepend(h("option", { value: UNNAMED }, t("verify.unnamed")));
  select.value = own.activation.name;
  const formula = h("input", {
    type: "text",
    spellcheck: "false",
    placeholder: "x * sigmoid(1.702 * x)",
    value: isFormula(own.activation.name) ? textOf(own.activation.name) : "",
    onchange: () => formula.value.trim() && chosen(nameOf(formula.value)),
  });
  const formulaField = labelled(t("verify.formula"), formula);
  if (isFormula(own.activation.name)) select.value = FORMULA;
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
    labelled(t("verify.function"), select),
    formulaField,
    parameters,
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
    h("div", { class: "columns" }, form, section),
    calls.element,
  );
  main.addEventListener("dragover", (event) => event.preventDefault());
  main.addEventListener("drop", dropped);
  results.append(h("p", { class: "quiet" }, t("verify.empty")));
  await chosen(own.activation.name);
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

  /** A file that is dropped holds outputs, and inputs if outputs are there. */
  async function dropped(event) {
    event.preventDefault();
    for (const file of event.dataTransfer.files) {
      const named = PARTS.find((part) => file.name.toLowerCase().startsWith(part));
      await take(named ?? (given.outputs ? "inputs" : "outputs"), file);
    }
    if (given.outputs || archive) await run();
  }

  function picked(name) {
    if (name !== FORMULA) return chosen(name);
    formulaField.hidden = false;
    return formula.value.trim() ? chosen(nameOf(formula.value)) : formula.focus();
  }

  async function chosen(name) {
    if (name !== own.activation.name) own.activation = { name, params: {} };
    formulaField.hidden = !isFormula(name);
    axisField.hidden = exampleButton.hidden = isRowwise();
    if (isUnnamed()) {
      parameters.replaceChildren();
      return changed();
    }
    try {
      const facts = await described(own.activation);
      const notes = mended(facts, own.activation.params);
      parameters.replaceChildren(...notes, ...sliders(facts, own.activation.params, changed));
    } catch (error) {
      parameters.replaceChildren(problem(error, () => chosen(name)));
    }
    return changed();
  }

  function isUnnamed() {
    return own.activation?.name === UNNAMED;
  }

  function isRowwise() {
    return !isUnnamed() && byName.get(own.activation.name).kind === "rowwise";
  }

  function set(key, value) {
    own[key] = value;
    changed();
  }

  function changed() {
    remember();
    const shown = { ...read(), ...Object.fromEntries(Object.entries(given).map(([part, values]) => [part, few(values)])) };
    calls.show({ path: "/verify", body: { outputs: [], ...shown } });
  }

  function read() {
    const tolerance = number(own.tolerance_ulp);
    const wrong = Boolean(own.tolerance_ulp.trim()) && !(tolerance >= 0 && Number.isFinite(tolerance));
    form.querySelector("[name=tolerance_ulp]").setAttribute("aria-invalid", String(wrong));
    const asked = isRowwise() && Boolean(own.axis.trim());
    const axis = asked ? number(own.axis) : undefined;
    const misread = asked && !Number.isInteger(axis);
    form.querySelector("[name=axis]").setAttribute("aria-invalid", String(misread));
    return {
      function: isUnnamed() ? null : own.activation.name,
      ...(Object.keys(own.activation.params).length && { params: { ...own.activation.params } }),
      ...(asked && !misread && { axis }),
      dtype: own.dtype,
      ...(own.compute_dtype && { compute_dtype: own.compute_dtype }),
      ...(own.subnormals !== "keep" && { subnormals: own.subnormals }),
      ...(own.tolerance_ulp.trim() && !wrong && { tolerance_ulp: tolerance }),
    };
  }

  function submit(event) {
    event.preventDefault();
    return run();
  }

  async function run() {
    message.replaceChildren();
    if (!given.outputs && !archive) {
      message.replaceChildren(h("p", { class: "problem", role: "alert" }, t("verify.none")));
      return;
    }
    status.textContent = t("verify.judging");
    try {
      const shaped = (values) => toJson(isRowwise() ? values : values.flat(Infinity));
      const arrays = Object.fromEntries(Object.entries(given).map(([part, values]) => [part, shaped(values)]));
      const answer = archive
        ? await post("/verify", read(), { files: { arrays: archive } })
        : await post("/verify", { ...read(), ...arrays });
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

/** So many numbers that a call can be read. */
const few = (values) => values.slice(0, 8).map((each) => (Array.isArray(each) ? few(each) : toJson(each)));

/** An array's numbers, rows in rows as its shape says. */
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
