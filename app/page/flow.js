// Gradient flow: a network's controls, its picture while it is computed, the verdict, and remedies to apply.

import { usable } from "./activation.js";
import { catalogue, follow, names, post } from "./api.js";
import { callBox, pictureLinks, picturePath } from "./calls.js";
import { Chart, theme, titledAbove, watch } from "./chart.js";
import { outdated, problem, redrawn, undrawn } from "./controls.js";
import { h, latest } from "./dom.js";
import { formPart, SIGMAS } from "./flowform.js";
import { known } from "./formulas.js";
import { fromJson, logarithm, toJson } from "./numbers.js";
import { remember, state } from "./state.js";
import { badge, inWords, judged, layerTable, nouns, part, stateOf, verdict, worded } from "./verdict.js";
import { language, said, spoken, t } from "./words.js";

/** The figures that can be drawn for each layer. */
const FIGURES = ["gradient", "activation_mean"];

/** The most networks in one picture. */
const MOST = 7;

/** The initial choice of initialisation: the one that suits the activation. */
const USUAL = "fair";

export async function flow(main) {
  const own = state.flow;
  const [all, inits, normalizations] = await Promise.all([
    catalogue(),
    names("InitName"),
    names("NormalizationName"),
  ]);
  const functions = all.filter(({ of_units: possible }) => possible);
  const byName = known(functions);
  const lost = usable(own, byName, functions[0].name);
  own.also = own.also.filter(({ activation }) => byName.has(String(activation)));
  if (own.init !== SIGMAS && !inits.includes(own.init)) own.init = USUAL;

  const runs = []; // finished and running simulations: {change, body, label, medians, answer}
  let stopping = null;
  const form = formPart(own, functions, { inits, normalizations }, { run: start, changed });
  const drawing = h("div", { class: "drawing", role: "img", "aria-label": t("flow.picture.layer") });
  const stage = h("div", { class: "stage flow-stage" }, drawing);
  const chart = new Chart(drawing);
  const figure = h(
    "select",
    { "aria-label": t("flow.figure"), onchange: () => draw() },
    FIGURES.map((each) => h("option", { value: each }, t(`flow.${each}Figure`))),
  );
  const bar = h("progress", { max: 100, "aria-label": t("view.flow") });
  const status = h("p", { role: "status" });
  const cancel = h(
    "button",
    { type: "button", class: "plain", onclick: () => stopping?.abort() },
    t("flow.cancel"),
  );
  const progress = h("div", { class: "progress row", hidden: true }, bar, cancel);
  const message = h("div");
  const verdicts = h("div", { class: "verdicts" });
  const remedies = h("div", { class: "remedies" });
  const layers = h("div");
  const links = h("p", { class: "quiet" });
  const calls = callBox();

  main.append(
    h("header", { class: "lead" }, h("h1", {}, t("flow.title")), h("p", {}, t("flow.lead"))),
    ...lost,
    h(
      "div",
      { class: "columns" },
      form.element,
      h(
        "section",
        { class: "picture", "aria-label": t("view.flow") },
        progress,
        status,
        message,
        verdicts,
        h("div", { class: "row figure" }, figure),
        stage,
        links,
        remedies,
        layers,
      ),
    ),
    calls.element,
  );
  const draw = latest(async () => {
    const drawn = runs.filter(({ medians, answer }) => medians || answer);
    if (!drawn.length) return;
    const gradient = worded("flow.picture", nouns(drawn.at(-1).body));
    const description = figure.value === "gradient" ? gradient : t(`flow.${figure.value}Figure`); // read aloud
    try {
      await chart.draw({ ...(await picture(drawn, figure.value, stage.clientWidth)), description });
      redrawn(message);
    } catch (error) {
      message.replaceChildren(undrawn(error, draw));
    }
  });
  const unwatch = watch(stage, draw);
  form.ready.then(() => {
    changed();
    run(own.also.slice(0, MOST - 2));
  });
  return () => {
    stopping?.abort();
    unwatch();
  };

  /** Started from the controls: a new network, drawn alone. */
  function start() {
    own.change = null;
    return run();
  }

  /** Simulates the network in the controls; `first` are the requests of others, which are drawn before it. */
  async function run(first = []) {
    stopping?.abort();
    const turn = new AbortController();
    stopping = turn;
    remember();
    const body = form.read();
    if (!body) return;
    const refused = []; // messages about those before it
    for (const each of first.filter((other) => !same(other, body))) {
      if (await simulate(each, null, turn)) runs.at(-1).kept = true;
      else refused.push(...message.children);
      if (turn.signal.aborted) return;
    }
    const before = runs.splice(0);
    runs.push(...before.filter(({ kept, body: other }) => kept && !same(other, body)));
    const ghosts = [...runs];
    const undo = () => runs.splice(0, runs.length, ...before);
    const whole = await simulate(body, null, turn, undo, note);
    message.append(...refused);
    if (whole && !ghosts.length) runs[0].kept = true; // the first one is kept when others are added
    if (whole && own.change) await simulate(changedBy(body, own.change), own.change, turn);
  }

  /** Writes to the address which networks are drawn besides the one in the controls. */
  function note() {
    own.also = runs.filter((each) => each.answer && !each.change && each !== asked()).map(({ body }) => body);
    remember();
  }

  async function apply(change) {
    own.change = change;
    remember();
    unapply();
    show();
    stopping?.abort();
    stopping = new AbortController();
    await simulate(changedBy(asked().body, change), change, stopping);
  }

  /** The network in the controls, as they are or were when it was simulated. */
  function asked() {
    return runs.findLast(({ change }) => !change);
  }

  /** Removes the network with a remedy. */
  function unapply() {
    const at = runs.findIndex(({ change }) => change);
    if (at >= 0) runs.splice(at, 1);
  }

  function without(each) {
    runs.splice(runs.indexOf(each), 1);
    note();
    show();
    return draw();
  }

  function keep(each) {
    each.kept = !each.kept;
    show();
  }

  /** Simulates and draws; calls `answered` before drawing, or on failure `undo`, which restores the former state. */
  async function simulate(body, change, turn, undo = unapply, answered = () => {}) {
    const each = {
      body,
      change,
      kept: false,
      label: change ? t("flow.with", { change: inWords(change, functions) }) : labelled(body),
      medians: null,
      answer: null,
    };
    while (runs.length >= MOST) runs.splice(1, 1);
    runs.push(each);
    calls.show({ path: "/gradient-flow", body });
    progress.hidden = false;
    bar.removeAttribute("value");
    status.className = "";
    status.textContent = t("flow.starting");
    message.replaceChildren();
    try {
      each.answer = await follow("/gradient-flow", body, {
        signal: turn.signal,
        progress: (event) => advance(each, event),
      });
      status.textContent = t("flow.done", { state: stateOf(each.answer.verdict.state, nouns(body)) });
      status.className = "unseen"; // sighted readers have the verdict below
    } catch (error) {
      if (turn !== stopping) return false; // another run has begun
      status.textContent = error.kind === "cancelled" ? t("flow.cancelled") : "";
      if (error.kind !== "cancelled")
        message.replaceChildren(problem(error, change ? () => apply(change) : run));
    }
    if (turn !== stopping) return false;
    progress.hidden = true;
    if (each.answer) answered();
    else if (!each.medians) undo();
    show();
    await draw();
    return Boolean(each.answer);
  }

  function advance(each, { stage: now, percent, ...figures }) {
    const medians = judged(figures);
    bar.value = percent;
    status.textContent = t(`flow.${now}Stage`, { percent });
    if (!medians) return;
    if (!each.medians) show(); // the first figures replace an earlier verdict
    each.medians = medians.map(fromJson);
    draw();
  }

  function changed() {
    remember();
    const body = form.read(true);
    const now = asked();
    const unchanged = now && same(body, now.body);
    outdated(message);
    status.className = "";
    if (now?.answer) status.textContent = unchanged ? "" : t("flow.changed");
    if (body && !unchanged) calls.show({ path: "/gradient-flow", body });
  }

  function show() {
    const done = runs.filter(({ answer }) => answer);
    const buttons = (each) => [
      !each.change && toggle(each),
      h("button", { type: "button", class: "icon", "aria-label": t("flow.remove", { name: each.label }), onclick: () => without(each) }, "×"),
    ];
    verdicts.replaceChildren(...done.map((each) => verdict(each, done.length > 1 && buttons(each))));
    const look = { theme: theme(), lang: language, width: 720 };
    const alone = done.length === 1; // a picture's URL holds one network
    links.replaceChildren(...(alone ? pictureLinks(picturePath("gradient-flow", done[0].body, look)) : []));
    const now = asked();
    remedies.replaceChildren(...(now?.answer ? remedyPart(now, own.change) : []));
    layers.replaceChildren(...(done.length ? [layerTable(done.at(-1))] : []));
  }

  function remedyPart({ answer: { remedies: offered, verdict: { state: found }, gradient }, body }, chosen) {
    if (found === "healthy" && !offered.length) return [];
    const before = logarithm(fromJson(gradient.log10_ratio.median));
    const buttons = offered.map(({ change, log10_ratio: after, state: then }) =>
      h(
        "button",
        {
          type: "button",
          class: "remedy",
          "aria-pressed": String(JSON.stringify(change) === JSON.stringify(chosen)),
          onclick: () => apply(change),
        },
        h("strong", {}, inWords(change, functions)),
        h("span", {}, `${nouns(body).size === "cell" ? "∂L/∂h: " : ""}log₁₀ ${before} → ${logarithm(fromJson(after))}`),
        badge(then, nouns(body)),
      ),
    );
    return [
      h("h2", {}, t("flow.remedies")),
      h("p", { class: "quiet" }, t(offered.length ? "flow.remediesLead" : "flow.noRemedies")),
      h(
        "div",
        { class: "row" },
        buttons,
        chosen && h("button", { type: "button", class: "plain", onclick: drop }, t("flow.drop")),
      ),
    ];
  }

  function toggle(each) {
    const attributes = { type: "button", class: "plain small", "aria-pressed": String(each.kept), onclick: () => keep(each) };
    return h("button", attributes, t("flow.keep"));
  }

  /** A short label of a network: whatever may differ between networks. */
  function labelled({ activation, params, depth, width, init, ...rest }) {
    const given = Object.entries(params ?? {}).map(([name, value]) => `${name} ${value}`);
    const sizes = Array.isArray(width) ? width.join("–") : `${depth} × ${width}`;
    const start = typeof init === "object" ? inWords(init, functions) : spoken("init", init);
    const { networks, seed, ...parts } = rest;
    const more = Object.entries(parts).map(([key, value]) =>
      value?.scale || value?.rate ? inWords({ [key]: value }, functions) : part(key, value, functions),
    );
    return [titled(activation), ...given, sizes, start, ...more].join(" · ");
  }

  function titled(activation) {
    return said(byName.get(activation)?.title ?? { [language]: String(activation) });
  }

  function drop() {
    own.change = null;
    stopping?.abort();
    unapply();
    progress.hidden = true;
    status.textContent = "";
    calls.show({ path: "/gradient-flow", body: asked().body });
    remember();
    show();
    return draw();
  }
}

const same = (one, two) => JSON.stringify(one) === JSON.stringify(two);

/** The service's picture of these runs, finished or running. */
async function picture(runs, figure, width) {
  const networks = runs.map(({ label, medians, answer, body }, index) => ({
    label,
    answer: answer ? drawn(answer) : partly(medians, nouns(body)),
    block: body.block?.kind ?? null,
    faint: index < runs.length - 1, // all but the last one
  }));
  const look = { figure, theme: theme(), lang: language, width: Math.max(180, width - 70), height: 320 };
  const { title, ...spec } = await post(`/plots/gradient-flow-answers.vl.json?${new URLSearchParams(look)}`, { networks });
  return titledAbove(spec);
}

/** The part of an answer that is drawn. */
function drawn({ layers, theory, gradient: { underflow } }) {
  return {
    layers: layers.map(({ layer, gradient_log10_rms, cell_gradient_log10_rms, activation_mean }) => ({
      layer,
      gradient_log10_rms,
      cell_gradient_log10_rms,
      activation_mean,
    })),
    theory: theory && { layers: theory.layers.map(({ gradient_log10_rms }) => ({ gradient_log10_rms })) },
    gradient: { underflow },
  };
}

/** The same for a running simulation, from its medians so far. */
function partly(medians, { size }) {
  const spread = (value) => ({ median: value, low: value, high: value });
  return {
    layers: medians.map((value, index) => {
      const gradient = spread(toJson(value));
      return { layer: index + 1, gradient_log10_rms: gradient, cell_gradient_log10_rms: size === "cell" ? gradient : null };
    }),
  };
}

/** `body` with `change`; a new activation replaces the parameters as well. */
function changedBy(body, change) {
  const { params, ...rest } = body;
  return { ...rest, ...(change.activation || !params ? {} : { params }), ...change };
}
