// Train: networks that learn side by side, shown while they do.

import { catalogue, follow, names, post } from "../api.js";
import { callBox, pictureLinks, picturePath } from "../calls.js";
import { Chart, theme, titledAbove, watch } from "../chart.js";
import { introductory } from "../choice.js";
import { outdated, problem, redrawn, strangers, undrawn } from "../controls.js";
import { h, latest } from "../dom.js";
import { known } from "../formulas.js";
import { fromJson } from "../numbers.js";
import { remember, state } from "../state.js";
import { trainForm } from "./form.js";
import { layersPart, resultTable } from "./results.js";
import { language, said, t } from "../words.js";

/** The most points along each axis of a map; more are thinned, as in the service's picture. */
const MOST_PLACES = 60;

/** The smallest training whose picture has the same panels. */
const SMALLEST = { steps: 1, runs: 1, frames: 1 };

export async function train(main) {
  const own = state.train;
  const [all, ...lists] = await Promise.all([
    catalogue(),
    ...["DataName", "TrainingInitName", "NormalizationName", "LossName", "OptimizerName"].map(names),
  ]);
  const [data, inits, normalizations, losses, optimizers] = lists;
  const functions = all.filter(({ of_units: possible }) => possible);
  const byName = known(functions);
  const lost = strangers(own.functions, byName);
  if (!own.functions.length)
    own.functions = introductory(functions).map(({ name }) => ({ name, params: {} }));

  let stopping = null;
  let now = null; // {body, titles, start, frames, result, spec}
  let place = 0; // the frame that is shown

  const drawing = h("div", { class: "drawing", role: "img", "aria-label": t("train.picture") });
  const stage = h("div", { class: "stage train-stage" }, drawing);
  const chart = new Chart(drawing);
  const bar = h("progress", { max: 1, "aria-label": t("view.train") });
  const cancel = h("button", { type: "button", class: "plain", onclick: () => stopping?.abort() }, t("flow.cancel"));
  const progress = h("div", { class: "progress row", hidden: true }, bar, cancel);
  const status = h("p", { role: "status", class: "quiet" });
  const message = h("div");
  const results = h("div");
  const layers = layersPart();
  const links = h("p", { class: "quiet" });
  const slide = h("input", {
    type: "range",
    min: 0,
    step: 1,
    "aria-label": t("train.frame"),
    oninput: () => look(Number(slide.value)),
  });
  const step = h("output", { class: "number" });
  const scrub = h("label", { class: "row scrub", hidden: true }, t("train.step"), slide, step);
  const calls = callBox();
  const form = trainForm(own, functions, byName, { data, inits, normalizations, losses, optimizers }, { run, changed });

  main.append(
    h("header", { class: "lead" }, h("h1", {}, t("train.title")), h("p", {}, t("train.lead"))),
    ...lost,
    h(
      "div",
      { class: "columns" },
      form.element,
      h(
        "section",
        { class: "picture", "aria-label": t("view.train") },
        progress,
        status,
        message,
        stage,
        scrub,
        results,
        layers.element,
        links,
      ),
    ),
    calls.element,
  );

  const draw = latest(async () => {
    if (!now?.frames.length) return;
    const drawn = now;
    try {
      const width = stage.clientWidth;
      const key = `${width} ${theme()}`;
      if (drawn.key !== key) {
        drawn.spec = await frame(drawn.body, width);
        drawn.key = key;
      }
      if (drawn !== now) return;
      await chart.draw({ ...drawn.spec, datasets: rows(drawn, place) });
      redrawn(message);
    } catch (error) {
      message.replaceChildren(undrawn(error, draw));
    }
  });
  const unwatch = watch(stage, draw);
  form.ready.then(run);
  return () => {
    stopping?.abort();
    unwatch();
  };

  function changed() {
    remember();
    outdated(message);
    const body = form?.read(true);
    if (!body) return;
    calls.show({ path: "/training", body });
    const same = now && JSON.stringify(body) === JSON.stringify(now.body);
    if (now?.result) status.textContent = same ? "" : t("flow.changed");
  }

  async function run() {
    stopping?.abort();
    const turn = new AbortController();
    stopping = turn;
    remember();
    const body = form.read();
    if (!body) return;
    calls.show({ path: "/training", body });
    const titles = own.functions.map(({ name }) => said(byName.get(name).title));
    const mine = { body, titles: unlike(titles), start: null, frames: [], result: null, spec: null, key: "" };
    progress.hidden = false;
    bar.removeAttribute("value");
    status.textContent = t("flow.starting");
    message.replaceChildren();
    try {
      mine.result = await follow("/training", body, {
        signal: turn.signal,
        files: form.files(),
        progress: (event) => advance(mine, event),
      });
      status.textContent = t("train.done");
    } catch (error) {
      if (turn !== stopping) return;
      status.textContent = error.kind === "cancelled" ? t("flow.cancelled") : "";
      if (error.kind !== "cancelled") message.replaceChildren(problem(error, run));
    }
    if (turn !== stopping) return;
    progress.hidden = true;
    if (now === mine) show();
  }

  function advance(run, event) {
    if (event.type === "start") {
      run.start = event;
      return;
    }
    if (now !== run) {
      now = run;
      results.replaceChildren();
      links.replaceChildren();
    }
    run.frames.push(event);
    bar.value = event.step / run.start.steps;
    status.textContent = t("train.stepped", { step: event.step, steps: run.start.steps });
    scrub.hidden = false;
    slide.max = run.frames.length - 1;
    slide.value = slide.max;
    look(run.frames.length - 1);
  }

  function look(index) {
    place = index;
    step.textContent = now.frames[index].step;
    layers.show(now.titles, now.frames[index]);
    draw();
  }

  function show() {
    if (now.result) results.replaceChildren(resultTable(now.titles, now.result));
    const simple = !Object.keys(form.files()).length && JSON.stringify(now.body).length < 8000;
    const path = picturePath("training", now.body, { theme: theme(), lang: language, width: 720 });
    links.replaceChildren(...(simple ? pictureLinks(path) : []));
  }
}

/** Titles that distinguish functions of the same name. */
function unlike(titles) {
  return titles.map((each, index) => (titles.indexOf(each) === index ? each : `${each} (${index + 1})`));
}

/** The service's specification of such a training's picture, without rows and legend title. */
async function frame(body, width) {
  const { count, ...data } = body.data;
  const few = data.kind ? { ...data, count: Math.min(count ?? 60, 60) } : data;
  const { batch, ...optimizer } = body.optimizer;
  const small = { ...body, ...SMALLEST, hidden: body.hidden ?? [2], data: few, optimizer, watch: { boundary: body.watch.boundary ?? 0 } };
  const look = { theme: theme(), lang: language, width: Math.max(180, width - 84), height: width < 500 ? 140 : 180 };
  const query = new URLSearchParams(look);
  const { title, datasets, ...spec } = await post(`/plots/training.vl.json?${query}`, small);
  const [figures, maps] = [spec.vconcat.filter(({ facet }) => !facet), spec.vconcat.filter(({ facet }) => facet)];
  return { ...spec, vconcat: [...figures.map((panel) => titledAbove(panel)), ...maps] };
}

/** The rows of the picture up to this frame, and the maps of this frame. */
function rows({ titles, start, frames, body }, index) {
  const figures = frames.flatMap(({ step, activations }) =>
    activations.map(({ loss, accuracy }, which) => ({
      activation: titles[which],
      step,
      ...spread("loss", loss),
      ...spread("accuracy", accuracy),
    })),
  );
  const boundary = body.watch.boundary ? places(titles, start, frames[index]) : [];
  return { figures, boundary };
}

function spread(name, { median, low, high }) {
  const [middle, least, most] = [median, low, high].map((each) => {
    const value = fromJson(each);
    return Number.isFinite(value) ? value : null;
  });
  return { [name]: middle, [`${name}_low`]: least, [`${name}_high`]: most };
}

function places(titles, { boundary }, { activations }) {
  if (boundary?.low.length !== 2) return [];
  const every = Math.ceil(boundary.points / MOST_PLACES);
  const [xs, ys] = [0, 1].map((axis) =>
    Array.from(
      { length: boundary.points },
      (_, index) =>
        boundary.low[axis] + ((boundary.high[axis] - boundary.low[axis]) * index) / (boundary.points - 1),
    ),
  );
  const kept = (list) => list.map((each, index) => [each, index]).filter(([, index]) => index % every === 0);
  return activations.flatMap(({ boundary: map }, which) =>
    map === null
      ? []
      : kept(ys).flatMap(([y, row]) =>
          kept(xs).map(([x, column]) => ({ activation: titles[which], x, y, value: fromJson(map[row][column]) })),
        ),
  );
}

