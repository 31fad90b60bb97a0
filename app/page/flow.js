// Gradient flow: a network's controls, its picture as it is computed, the verdict, and remedies that apply themselves.

import { catalogue, follow, names } from "./api.js";
import { callBox, pictureLinks, picturePath } from "./calls.js";
import { Chart, theme, watch } from "./chart.js";
import { problem } from "./controls.js";
import { h, latest } from "./dom.js";
import { formPart, SIGMAS } from "./flowform.js";
import { flowSpec } from "./flowspec.js";
import { fromJson, logarithm } from "./numbers.js";
import { remember, state } from "./state.js";
import { badge, layerTable, told, verdict } from "./verdict.js";
import { language, t } from "./words.js";

/** The initialisation that a new tab begins with: each activation's own. */
const USUAL = "fair";

export async function flow(main) {
  const own = state.flow;
  const [all, inits, normalizations] = await Promise.all([
    catalogue(),
    names("InitName"),
    names("NormalizationName"),
  ]);
  const functions = all.filter(({ of_units: possible }) => possible);
  const known = functions.some(({ name }) => name === own.activation?.name);
  if (!known) own.activation = { name: functions[0].name, params: {} };
  if (own.init !== SIGMAS && !inits.includes(own.init)) own.init = USUAL;

  const runs = []; // what was simulated, and what is being: {change, body, label, medians, answer}
  let stopping = null;
  const form = formPart(own, functions, { inits, normalizations }, { run: start, changed });
  const drawing = h("div", { class: "drawing", role: "img", "aria-label": t("flow.picture") });
  const stage = h("div", { class: "stage flow-stage" }, drawing);
  const chart = new Chart(drawing);
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
    try {
      await chart.draw(await flowSpec(drawn, stage.clientWidth));
    } catch (error) {
      message.replaceChildren(problem(error, draw));
    }
  });
  const unwatch = watch(stage, draw);
  form.ready.then(() => {
    changed();
    run();
  });
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
    const each = {
      body,
      change,
      label: change ? t("flow.with", { change: told(change, functions) }) : t("flow.first"),
      medians: null,
      answer: null,
    };
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
      status.textContent = t("flow.done", { state: t(`state.${each.answer.verdict.state}`) });
      status.className = "unseen"; // the verdict below says it to those who see
    } catch (error) {
      if (turn !== stopping) return false; // another run has begun
      status.textContent = error.kind === "cancelled" ? t("flow.cancelled") : "";
      if (error.kind !== "cancelled")
        message.replaceChildren(problem(error, change ? () => apply(change) : run));
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
    const look = { theme: theme(), lang: language, width: 720 };
    const alone = done.length === 1; // an address draws one network
    links.replaceChildren(...(alone ? pictureLinks(picturePath("gradient-flow", done[0].body, look)) : []));
    remedies.replaceChildren(...(done.length ? remedyPart(done[0].answer, own.change) : []));
    layers.replaceChildren(...(done.length ? [layerTable(done.at(-1).answer)] : []));
  }

  function remedyPart({ remedies: offered, verdict: { state: found }, gradient }, chosen) {
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
        h("strong", {}, told(change, functions)),
        h("span", {}, `log₁₀ ${before} → ${logarithm(fromJson(after))}`),
        badge(then),
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

/** `body` with `change`; another activation comes with its own parameters. */
function changedBy(body, change) {
  const { params, ...rest } = body;
  return { ...rest, ...(change.activation || !params ? {} : { params }), ...change };
}
