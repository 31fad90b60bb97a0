// The curves of the chosen functions, and their values where the cursor stands.

import { get, post } from "./api.js";
import { pictureLinks } from "./calls.js";
import { Chart, theme, watch } from "./chart.js";
import { figure, problem } from "./controls.js";
import { h, latest } from "./dom.js";
import { fromJson, number, plain, shown, toJson } from "./numbers.js";
import { remember } from "./state.js";
import { language, said, t } from "./words.js";

/** The curves, and the values where the cursor stands. */
export function picturePart(own, byName) {
  const drawing = h("div", { class: "drawing", role: "img" });
  const rule = h("div", { class: "rule", hidden: true });
  const stage = h("div", { class: "stage" }, drawing, rule);
  const message = h("div", {});
  const links = h("p", { class: "quiet" });
  const chart = new Chart(drawing);
  const body = h("tbody");
  const place = h("input", { type: "range", "aria-label": "x", oninput: () => at(Number(place.value)) });
  const exact = h("input", {
    type: "text",
    inputmode: "decimal",
    size: 9,
    "aria-label": "x",
    oninput: typed,
  });
  const ends = ["low", "high"].map((key) =>
    h("input", {
      type: "text",
      inputmode: "decimal",
      size: 5,
      value: shown(own[key]),
      "aria-label": t(key === "low" ? "explore.from" : "explore.to"),
      onchange: ({ target }) => widen(key, target),
    }),
  );
  const head = ["explore.function", "f(x)", "f′(x)", "f″(x)"].map((each, index) =>
    h("th", { scope: "col", class: index && "number" }, index ? each : t(each)),
  );
  const table = h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": t("explore.cursor") },
    h("table", { class: "values" }, h("thead", {}, h("tr", {}, head)), body),
  );
  const element = h(
    "section",
    { class: "picture", "aria-label": t("view.explore") },
    message,
    stage,
    h(
      "div",
      { class: "row cursor" },
      h("label", {}, h("i", {}, "x"), " = ", exact),
      place,
      h("span", { class: "row", role: "group", "aria-label": t("explore.range") }, ends[0], "…", ends[1]),
    ),
    table,
    h("p", { class: "quiet" }, t("explore.hint")),
    links,
  );

  let look = null; // the hues and dashes that curves take in turn

  const curves = () => own.functions.filter(({ name }) => byName.get(name).kind === "elementwise");

  /** Gives each function's card the hue and the dashes that its curve has. */
  function tint() {
    const drawn = curves();
    for (const swatch of document.querySelectorAll(".swatch[data-index]")) {
      const index = drawn.indexOf(own.functions[swatch.dataset.index]);
      const known = look && index >= 0;
      swatch.style.background = known
        ? dashed(look.hues[index % look.hues.length], look.dashes[index % look.dashes.length])
        : "none";
    }
  }

  const draw = latest(async () => {
    const drawn = curves();
    stage.hidden = !drawn.length;
    for (const [index, key] of ["min", "max"].entries()) place[key] = index ? own.high : own.low;
    place.step = (own.high - own.low) / 400;
    if (!drawn.length) return message.replaceChildren(h("p", { class: "quiet" }, t("explore.empty")));
    drawing.ariaLabel = t("explore.curves", {
      names: drawn.map(({ name }) => said(byName.get(name).title)).join(", "),
    });
    try {
      const path = curvesPath(drawn, own, stage.clientWidth);
      links.replaceChildren(...pictureLinks(path));
      const spec = await get(path);
      look = {
        hues: spec.config.range.category,
        dashes: spec.vconcat[0].layer[0].encoding.strokeDash.scale.range,
      };
      tint();
      await chart.draw(bare(spec));
      message.replaceChildren();
    } catch (error) {
      message.replaceChildren(problem(error, draw));
    }
    mark();
    return read(drawn);
  });

  const read = latest(async (drawn) => {
    const asked = drawn.map(({ name, params }) =>
      post("/activate", { function: name, params, inputs: toJson(own.x), order: 2 }),
    );
    try {
      const answers = await Promise.all(asked);
      body.replaceChildren(...answers.map((answer, index) => row(drawn[index], answer)));
    } catch (error) {
      message.replaceChildren(problem(error, draw));
    }
  });

  function row({ name }, { outputs, derivative, second_derivative: second }) {
    const figures = [outputs, derivative, second].map((each) => figure(fromJson(each), 6));
    return h("tr", {}, h("th", { scope: "row" }, said(byName.get(name).title)), figures);
  }

  function at(x) {
    own.x = Number(x.toPrecision(6));
    mark();
    remember();
    return read(curves());
  }

  function typed() {
    const x = number(exact.value);
    exact.setAttribute("aria-invalid", String(x === undefined));
    if (x !== undefined) at(x);
  }

  function widen(key, field) {
    const value = number(field.value);
    const next = { low: own.low, high: own.high, [key]: value };
    const right = Number.isFinite(value) && next.low < next.high;
    field.setAttribute("aria-invalid", String(!right));
    if (!right)
      return message.replaceChildren(h("p", { class: "problem", role: "alert" }, t("explore.badRange")));
    own[key] = value;
    remember();
    return draw();
  }

  /** Puts the cursor's line and the two fields where x is. */
  function mark() {
    if (document.activeElement !== exact) exact.value = shown(own.x, 12);
    place.value = own.x;
    const panels = chart.panels();
    const part = (own.x - own.low) / (own.high - own.low);
    rule.hidden = !panels.length || !(part >= 0 && part <= 1);
    if (rule.hidden) return;
    const [first, last] = [panels[0], panels.at(-1)];
    const base = stage.getBoundingClientRect();
    rule.style.transform = `translateX(${first.left - base.left + part * first.width}px)`;
    rule.style.top = `${first.top - base.top}px`;
    rule.style.height = `${last.bottom - first.top}px`;
  }

  stage.addEventListener("pointermove", ({ clientX }) => {
    const [panel] = chart.panels();
    const part = panel ? (clientX - panel.left) / panel.width : -1;
    if (part >= 0 && part <= 1) at(own.low + part * (own.high - own.low));
  });
  return { element, draw, tint, close: watch(stage, draw) };
}

/** The address of the curves' specification. */
function curvesPath(functions, { low, high }, width) {
  const query = new URLSearchParams();
  for (const { name, params } of functions) query.append("name", named(name, params));
  for (const order of [0, 1, 2]) query.append("order", order);
  const look = { low, high, theme: theme(), lang: language, width: Math.max(200, width - 64), height: 136 };
  for (const [key, value] of Object.entries(look)) query.append(key, value);
  return `/plots/functions.vl.json?${query}`;
}

function named(name, params) {
  const given = Object.entries(params).map(([key, value]) => `${key}=${plain(value)}`);
  return given.length ? `${name}(${given.join(", ")})` : name;
}

/** The specification without what stands elsewhere: the functions' cards are the legend, the last panel has the x-axis. */
function bare(spec) {
  const panels = JSON.parse(JSON.stringify(spec.vconcat, (key, value) => (key === "legend" ? null : value)));
  for (const [index, panel] of panels.entries()) {
    const labels = index === panels.length - 1;
    panel.encoding.x.axis = { labels, tickCount: Math.max(4, Math.round(panel.width / 60)) };
  }
  return { ...spec, spacing: 14, vconcat: panels };
}

/** A line of this hue and these dashes, as a background. */
function dashed(hue, [on, off]) {
  return off ? `repeating-linear-gradient(90deg, ${hue} 0 ${on}px, transparent ${on}px ${on + off}px)` : hue;
}
