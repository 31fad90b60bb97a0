// Gradient flow: a network's controls, its picture as it is computed, the verdict, and remedies that apply themselves.

import { catalogue, facts, Failure, flowFields, follow } from "./api.js";
import { callBox, pictureLinks, picturePath } from "./calls.js";
import { Chart, theme, watch } from "./chart.js";
import { functionChoice, labelled, problem, sliders } from "./controls.js";
import { h, latest } from "./dom.js";
import { flowSpec } from "./flowspec.js";
import { fromJson, number, shown } from "./numbers.js";
import { open, remember, state } from "./state.js";
import { language, said, t } from "./words.js";

const SIGMAS = "sigmas"; // the choice of σ_w and σ_b of one's own

export async function flow(main) {
  const own = state.flow;
  const [functions, fields] = await Promise.all([catalogue(), flowFields()]);
  const known = functions.some(({ name }) => name === own.activation?.name);
  if (!known) own.activation = { name: functions[0].name, params: {} };
  own.init ||= fields.init.default;

  const runs = []; // what was simulated, and what is being: {change, body, label, medians, answer}
  let stopping = null;
  const form = formPart(own, functions, fields, { run: start, changed });
  const drawing = h("div", { class: "drawing", role: "img", "aria-label": t("flow.picture") });
  const stage = h("div", { class: "stage flow-stage" }, drawing);
  const chart = new Chart(drawing);
  const bar = h("progress", { max: 100, "aria-label": t("view.flow") });
  const status = h("p", { role: "status" });
  const cancel = h("button", { type: "button", class: "plain", onclick: () => stopping?.abort() }, t("flow.cancel"));
  const progress = h("div", { class: "progress row", hidden: true }, bar, cancel);
  const message = h("div");
  const verdicts = h("div", { class: "verdicts" });
  const remedies = h("div", { class: "remedies" });
  const layers = h("div");
  const links = h("p", { class: "quiet" });
  const calls = callBox();

  main.append(
    h("header", { class: "lead" }, h("h1", {}, t("flow.title")), h("p", {}, t("flow.lead"))),
    h("div", { class: "columns" },
      form.element,
      h("section", { class: "picture", "aria-label": t("view.flow") }, progress, status, message, verdicts, stage, links, remedies, layers)),
    calls.element,
  );
  const draw = latest(async () => {
    const drawn = runs.filter(({ medians, answer }) => medians || answer);
    if (!drawn.length) return;
    try {
      await chart.draw(await flowSpec(drawn, stage.clientWidth));
    } catch (error) {
      message.replaceChildren(problem(error, draw));
    }
  });
  const unwatch = watch(stage, draw);
  changed();
  run();
  return () => {
    stopping?.abort();
    unwatch();
  };

  /** From the controls: a network of its own, drawn alone. */
  function start() {
    own.change = null;
    return run();
  }

  async function run() {
    stopping?.abort();
    const turn = new AbortController();
    stopping = turn;
    remember();
    const body = form.read();
    if (!body) return;
    const before = runs.splice(0);
    const whole = await simulate(body, null, turn, before);
    if (whole && own.change) await simulate(changedBy(body, own.change), own.change, turn);
  }

  async function apply(change) {
    own.change = change;
    remember();
    runs.length = 1;
    show();
    stopping?.abort();
    stopping = new AbortController();
    await simulate(changedBy(runs[0].body, change), change, stopping);
  }

  /** Runs and draws; where nothing came of it, what was there `before` stays. */
  async function simulate(body, change, turn, before = []) {
    const each = { body, change, label: change ? t("flow.with", { change: told(change) }) : t("flow.first"), medians: null, answer: null };
    runs.push(each);
    calls.show({ path: "/gradient-flow", body });
    progress.hidden = false;
    bar.removeAttribute("value");
    status.className = "";
    status.textContent = t("flow.starting");
    message.replaceChildren();
    try {
      each.answer = await follow("/gradient-flow", body, { signal: turn.signal, progress: (event) => advance(each, event) });
      status.textContent = t("flow.done", { state: t(`state.${each.answer.verdict.state}`) });
      status.className = "unseen"; // the verdict below says it to those who see
    } catch (error) {
      if (turn !== stopping) return false; // another run has begun
      status.textContent = error.kind === "cancelled" ? t("flow.cancelled") : "";
      if (error.kind !== "cancelled") message.replaceChildren(problem(error, change ? () => apply(change) : run));
    }
    if (turn !== stopping) return false;
    progress.hidden = true;
    if (!each.answer && !each.medians) runs.splice(runs.indexOf(each), 1, ...before);
    show();
    await draw();
    return Boolean(each.answer);
  }

  function advance(each, { stage: part, percent, gradient_log10_rms: medians }) {
    bar.value = percent;
    status.textContent = t(`flow.${part}Stage`, { percent });
    if (!medians) return;
    if (!each.medians) show(); // the first figures: an earlier verdict goes
    each.medians = medians.map(fromJson);
    draw();
  }

  function changed() {
    remember();
    const body = form.read(true);
    const same = runs[0] && JSON.stringify(body) === JSON.stringify(runs[0].body);
    status.className = "";
    if (runs[0]?.answer) status.textContent = same ? "" : t("flow.changed");
    if (body && !same) calls.show({ path: "/gradient-flow", body });
  }

  function show() {
    const done = runs.filter(({ answer }) => answer);
    verdicts.replaceChildren(...done.map((each) => verdict(each, done.length > 1)));
    const path = done.length && picturePath("gradient-flow", done.at(-1).body, { theme: theme(), lang: language, width: 720 });
    links.replaceChildren(...(path ? pictureLinks(path) : []));
    remedies.replaceChildren(...(done.length ? remedyPart(done[0].answer, own.change) : []));
    layers.replaceChildren(...(done.length ? [layerTable(done.at(-1).answer)] : []));
  }

  function remedyPart({ remedies: offered, verdict: { state: found }, gradient }, chosen) {
    if (found === "healthy" && !offered.length) return [];
    const before = shown(fromJson(gradient.log10_ratio.median), 3);
    const buttons = offered.map(({ change, log10_ratio: after, state: then }) =>
      h("button", { type: "button", class: "remedy", "aria-pressed": String(JSON.stringify(change) === JSON.stringify(chosen)), onclick: () => apply(change) },
        h("strong", {}, told(change)), h("span", {}, `log₁₀ ${before} → ${shown(fromJson(after), 3)}`), badge(then)));
    return [
      h("h2", {}, t("flow.remedies")),
      h("p", { class: "quiet" }, t(offered.length ? "flow.remediesLead" : "flow.noRemedies")),
      h("div", { class: "row" }, buttons, chosen && h("button", { type: "button", class: "plain", onclick: drop }, t("flow.drop"))),
    ];
  }

  function drop() {
    own.change = null;
    stopping?.abort();
    runs.length = 1;
    progress.hidden = true;
    status.textContent = "";
    calls.show({ path: "/gradient-flow", body: runs[0].body });
    remember();
    show();
    return draw();
  }
}

/** A change of a request in words: `init = critical`. */
function told(change) {
  const parts = Object.entries(change).map(([key, value]) => [key, typeof value === "object" ? inner(value) : value]);
  return parts.filter(([, value]) => value !== "").map(([key, value]) => `${key} = ${value}`).join(", ");
}

const inner = (value) => Object.entries(value ?? {}).map(([key, each]) => `${key} ${shown(each, 4)}`).join(", ");

/** `body` with `change`; another activation comes with its own parameters. */
function changedBy(body, change) {
  const { params, ...rest } = body;
  return { ...rest, ...(change.activation || !params ? {} : { params }), ...change };
}

const badge = (found) => h("span", { class: `badge ${found}` }, t(`state.${found}`));

function verdict({ label, answer }, several) {
  const { verdict: { state: found, usable_depth: usable, summary }, gradient, theory } = answer;
  const ratio = fromJson(gradient.log10_ratio.median);
  const flushed = Object.entries(gradient.underflow).filter(([, layer]) => layer !== null);
  const pairs = [
    ["flow.ratio", power(ratio)],
    ["flow.factor", shown(fromJson(gradient.factor_per_layer.median), 4)],
    ["flow.theory", theory ? power(fromJson(theory.predicted_log10_ratio)) : t("flow.noTheory")],
    ["flow.usable", shown(usable)],
    ["flow.underflow", flushed.length ? flushed.map(([format, layer]) => t("flow.underflowAt", { format, layer })).join("; ") : t("flow.never")],
  ];
  return h(
    "article", { class: `verdict ${found}` },
    several && h("p", { class: "quiet" }, label),
    h("p", { class: "summary" }, badge(found), " ", said(summary)),
    h("dl", { class: "strip" }, pairs.map(([key, value]) => h("div", {}, h("dt", {}, t(key)), h("dd", {}, value)))),
  );
}

/** 10 to this power, set as people write it. */
function power(exponent) {
  if (!Number.isFinite(exponent)) return shown(exponent);
  return h("span", {}, "10", h("sup", {}, shown(exponent, 3)));
}

function layerTable({ layers }) {
  const head = ["flow.layer", "flow.gradient", "flow.band", "flow.variance", "flow.saturated", "flow.dead"];
  const short = (value) => shown(fromJson(value), 4);
  const percent = (value) => `${shown(100 * fromJson(value), 3)} %`;
  const rows = layers.map(({ layer, gradient_log10_rms: gradient, preactivation_variance: variance, saturated_fraction: saturated, dead_fraction: dead }) =>
    h("tr", {}, h("th", { scope: "row", class: "number" }, layer),
      [short(gradient.median), `${short(gradient.low)} … ${short(gradient.high)}`, short(variance.median), percent(saturated.median), percent(dead.median)]
        .map((each) => h("td", { class: "number" }, each))));
  return h(
    "details", { class: "layers" }, h("summary", {}, t("flow.layers")),
    h("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": t("flow.layers") },
      h("table", {}, h("thead", {}, h("tr", {}, head.map((each) => h("th", { scope: "col", class: "number" }, t(each))))), h("tbody", {}, rows))),
  );
}

/** The controls. `read` gives the request they describe, or null after marking what cannot be read. */
function formPart(own, functions, fields, { run, changed }) {
  const parameters = h("div");
  const message = h("div");
  const names = (field) => (field.anyOf ?? [field]).flatMap((each) => each.enum ?? []);
  const text = (key, options = {}) => h("input", { type: "text", inputmode: "decimal", name: key, value: own[key], oninput: ({ target }) => set(key, target.value), ...options });
  const choice = (key, pairs) => h("select", { name: key, value: own[key], onchange: ({ target }) => set(key, target.value) },
    pairs.map(([value, words]) => h("option", { value }, words)));
  const inits = [...names(fields.init).map((each) => [each, each]), [SIGMAS, t("flow.sigmas")]];
  const normalizations = [["", t("none")], ...names(fields.normalization).map((each) => [each, each])];
  const sigmas = h("div", { class: "pair" }, ["sigma_w", "sigma_b"].map((key) => labelled(t(`flow.${key}`), text(key))));
  const depth = text("depth", { inputmode: "numeric" });
  const element = h(
    "form", { class: "panel", "aria-label": t("flow.network"), onsubmit: submit, novalidate: true },
    h("h2", {}, t("flow.network")),
    labelled(t("flow.activation"), functionChoice(functions, own.activation.name, chosen)), parameters,
    labelled(t("flow.depth"), depth),
    labelled(t("flow.width"), text("width", { inputmode: "text" })),
    labelled(t("flow.init"), choice("init", inits)), sigmas,
    labelled(t("flow.normalization"), choice("normalization", normalizations)),
    labelled(t("flow.residual"), text("residual")),
    h("div", { class: "pair" }, labelled(t("flow.networks"), text("networks", { inputmode: "numeric" })), labelled(t("flow.seed"), text("seed", { inputmode: "numeric" }))),
    message, h("button", { type: "submit" }, t("flow.run")),
  );
  chosen(own.activation.name);
  arrange();
  return { element, read };

  function submit(event) {
    event.preventDefault();
    run();
  }

  async function chosen(name) {
    const fresh = name !== own.activation.name;
    if (fresh) own.activation = { name, params: {} };
    try {
      parameters.replaceChildren(...sliders(await facts(name), own.activation.params, changed));
      if (fresh) changed();
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
    for (const input of element.querySelectorAll("input[name]")) input.setAttribute("aria-invalid", String(wrong.includes(input.name)));
    const words = wrong.map((key) => t(key === "width" ? "flow.widthShort" : `flow.${key}`));
    message.replaceChildren(...(wrong.length && !quietly ? [problem(new Failure("number", [words.join(", ")]))] : []));
    return wrong.length ? null : body;
  }
}
