// Phase diagram: where gradients vanish, where they explode, and the line between.

import { activationPart, usable } from "./activation.js";
import { catalogue, get, post } from "./api.js";
import { callBox, pictureLinks, picturePath } from "./calls.js";
import { Chart, theme, titledAbove, watch } from "./chart.js";
import { labelled, problem } from "./controls.js";
import { h, latest, rested } from "./dom.js";
import { SIGMAS } from "./flowform.js";
import { known } from "./formulas.js";
import { fromJson, number, shown } from "./numbers.js";
import { open, remember, state } from "./state.js";
import { language, said, t } from "./words.js";

const COLUMNS = 30;
const ROWS = 20;

export async function phase(main) {
  const own = state.phase;
  const functions = (await catalogue()).filter(({ kind }) => kind === "elementwise");
  const byName = known(functions);
  // The first zero-centred one that saturates: the theory was first developed for it.
  const lost = usable(own, byName, (functions.find(aroundZero) ?? functions[0]).name);

  const drawing = h("div", { class: "drawing diagram", role: "img" });
  const hover = h("p", { class: "quiet hover" }, "\u00a0");
  const message = h("div");
  const links = h("p", { class: "quiet" });
  const marker = h("div", { class: "marker", hidden: true });
  const stage = h("div", { class: "stage" }, drawing, marker);
  const chart = new Chart(drawing);
  const calls = callBox();
  const most = ["sigma_w", "sigma_b"].map((key) =>
    labelled(t(key === "sigma_w" ? "phase.most_w" : "phase.most_b"), field(own, key, drawAgain)),
  );
  const point = pointPart(own, mark);
  // Without a range nothing is drawn yet: finding one draws.
  const activation = activationPart(own, functions, (fresh) => (fresh || own.sigma_w) && chosen(fresh));
  let cells = [];

  main.append(
    h("header", { class: "lead" }, h("h1", {}, t("phase.title")), h("p", {}, t("phase.lead"))),
    ...lost,
    h(
      "div",
      { class: "columns" },
      h(
        "section",
        { class: "panel", "aria-label": t("phase.diagram") },
        h("h2", {}, t("phase.diagram")),
        activation.elements,
        h("div", { class: "pair" }, most),
      ),
      h("section", { class: "picture", "aria-label": t("view.phase") }, message, stage, hover, links),
      point.element,
    ),
    calls.element,
  );
  stage.addEventListener("pointermove", (event) => tell(cellAt(event)));
  stage.addEventListener("pointerleave", () => point.leave());
  stage.addEventListener("click", (event) => pin(cellAt(event)));
  const draw = latest(drawOnce);
  // One after the other, so that a late range does not belong to the activation before.
  const widening = latest(widenAndDraw);
  let outdated = false; // whether the activation has changed since the range was found
  await activation.ready();
  if (own.sigma_w) await drawAgain();
  else await chosen(true);
  return watch(stage, draw);

  /** Called for another activation or other parameters: the critical line has moved. */
  function chosen(fresh) {
    outdated ||= fresh;
    return widening();
  }

  async function widenAndDraw() {
    const fresh = outdated;
    outdated = false;
    await widen(fresh);
    await drawAgain();
  }

  /** Finds a range that contains the activation's critical σ_w; keeps the present one if it does and is not outdated. */
  async function widen(fresh) {
    try {
      const { name, params } = own.activation;
      const answer = await post("/mean-field", { activation: name, params, sigma_w: 1, sigma_b: [0, 0.05, 0.5] });
      const edges = answer.critical_sigma_w.filter((each) => each !== null).map(fromJson).filter(Number.isFinite);
      const least = Math.max(...edges, 1);
      if (fresh || least > number(own.sigma_w)) own.sigma_w = String(Number((2 * least).toPrecision(1)));
    } catch {
      own.sigma_w ||= "3";
    }
    most[0].querySelector("input").value = own.sigma_w;
  }

  function drawAgain() {
    remember();
    point.read();
    return draw();
  }

  async function drawOnce() {
    try {
      const body = request(own);
      calls.show({ path: "/mean-field", body });
      drawing.ariaLabel = t("phase.picture", {
        name: said(byName.get(own.activation.name).title),
      });
      stage.classList.add("busy");
      const width = stage.clientWidth < 500 ? stage.clientWidth - 72 : Math.min(stage.clientWidth, 820) - 150;
      const path = picturePath("mean-field", body, { theme: theme(), lang: language, width, height: 380 });
      links.replaceChildren(...pictureLinks(path));
      const { title, ...spec } = await get(path);
      if (stage.clientWidth < 500) lay(spec, width);
      cells = spec.datasets.cells;
      await chart.draw(titledAbove(spec));
      mark(point.place());
      message.replaceChildren();
    } catch (error) {
      message.replaceChildren(problem(error, draw));
    } finally {
      stage.classList.remove("busy");
    }
  }

  function cellAt({ clientX, clientY }) {
    const [panel] = chart.panels();
    if (!panel || !cells.length) return null;
    const across = (clientX - panel.left) / panel.width;
    const up = (panel.bottom - clientY) / panel.height;
    if (across < 0 || across > 1 || up < 0 || up > 1) return null;
    const end = (key) => Math.max(...cells.map((each) => each[key]));
    const start = (key) => Math.min(...cells.map((each) => each[key]));
    const sigma_w = start("w_low") + across * (end("w_high") - start("w_low"));
    const sigma_b = start("b_low") + up * (end("b_high") - start("b_low"));
    const cell = cells.find(
      (each) =>
        each.w_low <= sigma_w && sigma_w <= each.w_high && each.b_low <= sigma_b && sigma_b <= each.b_high,
    );
    return (
      cell && { ...cell, sigma_w: Number(sigma_w.toPrecision(3)), sigma_b: Number(sigma_b.toPrecision(3)) }
    );
  }

  function tell(cell) {
    stage.classList.toggle("over", Boolean(cell));
    hover.textContent = cell
      ? `σ_w = ${shown(cell.sigma_w)}, σ_b = ${shown(cell.sigma_b)}: ${t(`phase.${cell.phase}`)}, χ₁ ≈ ${shown(cell.chi_1, 3)}`
      : "\u00a0";
    if (cell) point.hover(cell);
  }

  function pin(cell) {
    if (cell) point.set(cell);
  }

  /** Places the marker at the point of the figures. */
  function mark({ sigma_w, sigma_b }) {
    const [panel] = chart.panels();
    marker.hidden = !panel || !cells.length;
    if (marker.hidden) return;
    const span = (low, high) => [Math.min(...cells.map((each) => each[low])), Math.max(...cells.map((each) => each[high]))];
    const [left, right] = span("w_low", "w_high");
    const [bottom, top] = span("b_low", "b_high");
    const [across, up] = [(sigma_w - left) / (right - left), (sigma_b - bottom) / (top - bottom)];
    marker.hidden = !(across >= 0 && across <= 1 && up >= 0 && up <= 1);
    const base = stage.getBoundingClientRect();
    const x = panel.left - base.left + across * panel.width;
    const y = panel.bottom - base.top - up * panel.height;
    marker.style.transform = `translate(${x}px, ${y}px)`;
  }
}

/** Places the legend below a narrow picture. */
function lay(spec, width) {
  const { color } = spec.layer[0].encoding;
  color.legend = { ...color.legend, orient: "bottom", direction: "horizontal", gradientLength: width };
}

const aroundZero = ({ saturates, zero_centred: zero }) => saturates.length === 2 && zero;

function toFlow({ activation }, sigma_w, sigma_b) {
  open("flow", {
    activation: structuredClone(activation),
    init: SIGMAS,
    sigma_w: String(sigma_w),
    sigma_b: String(sigma_b),
    normalization: "", // the diagram is that of plain layers
    residual: "",
    block: null,
    dropout: "",
    change: null,
  });
}

function field(own, key, changed) {
  const input = h("input", { type: "text", inputmode: "decimal", size: 6, value: own[key], oninput: typed });
  function typed() {
    const right = number(input.value) > 0 && Number.isFinite(number(input.value));
    input.setAttribute("aria-invalid", String(!right));
    if (!right) return;
    own[key] = input.value;
    changed();
  }
  return input;
}

/** The grid to compute: σ_w along rows, σ_b down columns. */
function request({ activation: { name, params }, ...most }) {
  const grid = (text, count) =>
    Array.from({ length: count }, (_, index) =>
      Number((((index + 0.5) * number(text)) / count).toPrecision(6)),
    );
  return {
    activation: name,
    params,
    sigma_w: [grid(most.sigma_w, COLUMNS)],
    sigma_b: grid(most.sigma_b, ROWS).map((each) => [each]),
  };
}

/** The figures of any point, given by numbers or by the pointer. */
function pointPart(own, moved) {
  const place = { sigma_w: "1.5", sigma_b: "0.05" };
  const figures = h("dl", { class: "facts", "aria-live": "polite" });
  const tell = latest(async ({ sigma_w, sigma_b }) => {
    try {
      const { name, params } = own.activation;
      const answer = await post("/mean-field", { activation: name, params, sigma_w, sigma_b });
      figures.replaceChildren(...rows(answer));
    } catch (error) {
      figures.replaceChildren(h("div", {}, problem(error, read)));
    }
  });
  const hover = rested(tell);
  const numbers = () => ({ sigma_w: number(place.sigma_w), sigma_b: number(place.sigma_b) });
  const read = () => {
    hover.stop();
    moved(numbers());
    return tell(numbers());
  };
  const fields = Object.keys(place).map((key) => labelled(t(`flow.${key}`), field(place, key, read)));
  const button = h(
    "button",
    { type: "button", onclick: () => toFlow(own, place.sigma_w, place.sigma_b) },
    t("phase.open"),
  );
  return {
    element: h(
      "section",
      { class: "point panel", "aria-label": t("phase.point") },
      h("h2", {}, t("phase.point")),
      h("div", { class: "pair" }, fields),
      figures,
      button,
    ),
    read,
    place: numbers,
    /** Shows the figures at the pointer until it leaves. */
    hover,
    leave: read,
    set({ sigma_w, sigma_b }) {
      Object.assign(place, { sigma_w: String(sigma_w), sigma_b: String(sigma_b) });
      for (const [index, each] of fields.entries())
        each.querySelector("input").value = shown(index ? sigma_b : sigma_w);
      return read();
    },
  };
}

function rows(answer) {
  const figure = (value, digits) => (Number.isNaN(fromJson(value)) ? "–" : shown(fromJson(value), digits)); // undefined
  const pairs = [
    ["phase.phase", t(`phase.${answer.phase}`)],
    ["phase.chi", figure(answer.chi_1)],
    ["phase.q", figure(answer.q_star)],
    ["phase.c", figure(answer.c_star)],
    ["phase.reach", t("phase.layers", { value: figure(answer.xi_gradient, 3) })],
    ["phase.edge", figure(answer.critical_sigma_w)],
  ];
  return pairs.flatMap(([key, value]) => [h("dt", {}, t(key)), h("dd", {}, value)]);
}
