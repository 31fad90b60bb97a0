// The curves of the chosen functions, and their values where the cursor stands.

import { get, post } from "./api.js";
import { pictureLinks } from "./calls.js";
import { Chart, theme, titledAbove, watch } from "./chart.js";
import { figure, problem } from "./controls.js";
import { h, latest, rested } from "./dom.js";
import { difference, isFormula } from "./formulas.js";
import { fromJson, number, plain, shown, toJson } from "./numbers.js";
import { heightAt, linesOf, summit, window as shownPart } from "./samples.js";
import { remember } from "./state.js";
import { language, said, t } from "./words.js";

/** The reading of Latin letters in a Korean title, for which there is no room beside a curve. */
const READING = /\([가-힣\s]+\)$/;

/** Least pixels between two names beside the curves. */
const APART = 15;

/** The curves, and the values where the cursor stands. */
export function picturePart(own, functions) {
  const drawing = h("div", { class: "drawing", role: "img" });
  const rule = h("div", { class: "rule", hidden: true });
  const marks = h("div", { class: "marks-over", "aria-hidden": "true" });
  const stage = h("div", { class: "stage" }, drawing, rule, marks);
  const message = h("div");
  const rangeMessage = h("div");
  const readMessage = h("div");
  const links = h("p", { class: "quiet" });
  const chart = new Chart(drawing);
  const body = h("tbody");
  const place = h("input", {
    type: "range",
    min: own.low,
    max: own.high,
    step: (own.high - own.low) / 400,
    "aria-label": "x",
    oninput: () => at(Number(place.value)),
  });
  place.value = own.x;
  const exact = h("input", {
    type: "text",
    inputmode: "decimal",
    size: 9,
    value: shown(own.x, 12),
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
      onchange: widen,
    }),
  );
  const whole = choice("whole", "explore.whole");
  const minus = choice("minus", "explore.minus");
  const head = ["explore.function", "f(x)", "f′(x)", "f″(x)"].map((each, index) =>
    h("th", { scope: "col", class: index && "number" }, index ? each : t(each)),
  );
  const table = h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": t("explore.cursor") },
    h("table", { class: "values" }, h("thead", {}, h("tr", {}, head)), body),
  );
  const options = h("div", { class: "row options-row" }, whole.element, minus.element);
  const cursor = h(
    "div",
    { class: "row cursor" },
    h("label", {}, h("i", {}, "x"), " = ", exact),
    place,
    h("span", { class: "row", role: "group", "aria-label": t("explore.range") }, ends[0], "…", ends[1]),
  );
  const hint = h("p", { class: "quiet" }, t("explore.hint"));
  const element = h(
    "section",
    { class: "picture", "aria-label": t("view.explore") },
    message,
    options,
    stage,
    cursor,
    rangeMessage,
    readMessage,
    table,
    hint,
    links,
  );

  let look = null; // the colours and dashes of the curves, in order
  let lines = []; // the samples of each drawn function

  const chosen = () => own.functions.filter(({ name }) => functions.get(name).kind === "elementwise");
  const subtracted = () => (chosen().length === 2 ? difference(...chosen()) : null);
  const curves = () => (own.minus && subtracted() ? [subtracted()] : chosen());
  const title = ({ name }) =>
    own.minus && isFormula(name) && subtracted()?.name === name
      ? t("explore.difference", { names: chosen().map(title).join(" − ") })
      : said(functions.get(name).title);

  function choice(key, words) {
    const box = h("input", {
      type: "checkbox",
      checked: own[key],
      onchange: () => {
        own[key] = box.checked;
        remember();
        draw();
      },
    });
    return { box, element: h("label", { class: "chip" }, box, t(words)) };
  }

  /** Shows the curve's colour and dashes in each function's card. */
  function tint() {
    const drawn = curves();
    for (const swatch of document.querySelectorAll(".swatch[data-index]")) {
      const index = drawn.indexOf(own.functions[swatch.dataset.index]);
      swatch.style.background = look && index >= 0 ? dashed(hue(index), dashes(index)) : "none";
    }
  }

  const hue = (index) => look.hues[index % look.hues.length];
  const dashes = (index) => look.dashes[index % look.dashes.length];

  const draw = latest(async () => {
    const drawn = curves();
    for (const each of [stage, options, cursor, table, hint, links]) each.hidden = !drawn.length;
    minus.element.hidden = !subtracted();
    for (const [index, key] of ["min", "max"].entries()) place[key] = index ? own.high : own.low;
    place.step = (own.high - own.low) / 400;
    readMessage.replaceChildren();
    if (!drawn.length) {
      lines = [];
      body.replaceChildren();
      const words = own.functions.length ? "explore.mixedAlone" : "explore.empty";
      return message.replaceChildren(h("p", { class: "quiet" }, t(words)));
    }
    drawing.ariaLabel = t("explore.curves", { names: drawn.map(title).join(", ") });
    try {
      const { paddingRight } = getComputedStyle(stage);
      const path = curvesPath(drawn, own, stage.clientWidth - Number.parseFloat(paddingRight));
      links.replaceChildren(...pictureLinks(path));
      const spec = await get(path);
      look = {
        hues: spec.config.range.category,
        dashes: spec.vconcat[0].layer[0].encoding.strokeDash.scale.range,
      };
      lines = linesOf(spec);
      const parts = [0, 1, 2].map((order) => shownPart(lines.map((each) => each[order])));
      whole.element.hidden = !parts.some(Boolean);
      tint();
      follow(); // the values do not need the picture
      await chart.draw(bare(spec, own.whole ? [] : parts));
      message.replaceChildren();
    } catch (error) {
      message.replaceChildren(problem(error, draw));
    }
    mark();
  });

  const read = latest(async () => {
    const drawn = curves();
    if (!drawn.length) return;
    const x = own.x;
    const asked = drawn.map(({ name, params }) =>
      post("/activate", { function: name, params, inputs: toJson(x), order: 2 }),
    );
    try {
      const answers = await Promise.all(asked);
      readMessage.replaceChildren();
      if (x !== own.x || drawn.length !== curves().length) return;
      const exactly = answers.map(({ outputs, derivative, second_derivative: second }) =>
        [outputs, derivative, second].map((each) => figure(fromJson(each), 6)),
      );
      tell(drawn, exactly);
    } catch (error) {
      readMessage.replaceChildren(problem(error, read));
    }
  });

  const ask = rested(read);

  function tell(drawn, figures) {
    body.replaceChildren(
      ...drawn.map((each, index) => h("tr", {}, h("th", { scope: "row" }, title(each)), figures[index])),
    );
  }

  /** Shows interpolated values at once, and asks the service when the pointer rests. */
  function follow() {
    mark();
    const drawn = curves();
    const near = drawn.map((_, index) => [0, 1, 2].map((order) => about(heightAt(lines[index]?.[order] ?? [], own.x))));
    if (lines.length && near.flat().every(Boolean)) tell(drawn, near);
    ask();
  }

  function at(x) {
    own.x = Number(x.toPrecision(6));
    remember();
    follow();
  }

  function typed() {
    const x = number(exact.value);
    exact.setAttribute("aria-invalid", String(x === undefined));
    if (x !== undefined) at(x);
  }

  /** Both ends are read together, as each is valid only in relation to the other. */
  function widen() {
    const [low, high] = ends.map(({ value }) => number(value));
    const right = Number.isFinite(low) && Number.isFinite(high) && low < high;
    for (const [index, value] of [low, high].entries())
      ends[index].setAttribute("aria-invalid", String(!right && !(Number.isFinite(value) && value === own[index ? "high" : "low"])));
    rangeMessage.replaceChildren(
      ...(right ? [] : [h("p", { class: "problem", role: "alert" }, t("explore.badRange"))]),
    );
    if (!right) return;
    Object.assign(own, { low, high });
    remember();
    draw();
  }

  /** Places the cursor's line, its dots, the names and the two fields. */
  function mark() {
    if (document.activeElement !== exact) exact.value = shown(own.x, 12);
    place.value = own.x;
    marks.replaceChildren();
    const panels = chart.panels();
    rule.hidden = !panels.length || !lines.length;
    if (rule.hidden) return;
    const base = stage.getBoundingClientRect();
    const across = (x) => panels[0].left - base.left + ((x - own.low) / (own.high - own.low)) * panels[0].width;
    const down = (order, y) => {
      const part = chart.height(order, y);
      return part >= -0.001 && part <= 1.001
        ? panels[order].top - base.top + part * panels[order].height
        : NaN;
    };
    rule.hidden = !(own.low <= own.x && own.x <= own.high);
    rule.style.transform = `translateX(${across(own.x)}px)`;
    rule.style.top = `${panels[0].top - base.top}px`;
    rule.style.height = `${panels.at(-1).bottom - panels[0].top}px`;
    const put = (place, x, y, ...children) => {
      if (!Number.isFinite(y)) return null;
      const each = h("span", { class: place }, ...children);
      each.style.transform = `translate(${x}px, ${y}px)`;
      marks.append(each);
      return each;
    };
    for (const [index, orders] of lines.entries()) {
      for (const [order, pieces] of orders.entries()) {
        const y = rule.hidden ? NaN : heightAt(pieces, own.x);
        const dot = put("dot", across(own.x), down(order, y));
        if (dot) dot.style.background = hue(index);
      }
      const top = summit(orders[1]);
      const sign = top && put("top-mark", across(top.x), down(1, top.y), h("span", {}, t("explore.steepest", { slope: shown(top.y, 3) })));
      if (sign) sign.style.setProperty("--hue", hue(index));
    }
    names(put, down);
  }

  /** The functions' names at the right ends of their curves, each a line apart from the next. */
  function names(put, down) {
    const drawn = curves();
    if (drawn.length < 2) return;
    const [panel] = chart.panels();
    const base = stage.getBoundingClientRect();
    const placed = lines
      .map((orders, index) => ({ index, y: ending(orders[0], down) }))
      .filter(({ y, index }) => Number.isFinite(y) && drawn[index])
      .sort((one, two) => one.y - two.y);
    for (const [position, each] of placed.entries())
      if (position) each.y = Math.max(each.y, placed[position - 1].y + APART);
    for (const { index, y } of placed) {
      const name = put("name-mark", panel.right - base.left, y, title(drawn[index]).replace(READING, ""));
      name.style.setProperty("--hue", hue(index));
    }
  }

  /** Where a curve leaves the first panel: at its right end, or before at the top or bottom. */
  function ending(pieces, down) {
    const y = heightAt(pieces, own.high);
    const inside = down(0, y);
    if (Number.isFinite(inside) || !Number.isFinite(y)) return inside;
    const [panel] = chart.panels();
    const base = stage.getBoundingClientRect();
    return (chart.height(0, y) < 0 ? panel.top + 6 : panel.bottom - 6) - base.top;
  }

  function pointed({ clientX }) {
    const [panel] = chart.panels();
    const part = panel ? (clientX - panel.left) / panel.width : -1;
    if (part >= 0 && part <= 1) at(own.low + part * (own.high - own.low));
  }

  stage.addEventListener("pointermove", pointed);
  stage.addEventListener("pointerdown", pointed);
  const unwatch = watch(stage, draw);
  return {
    element,
    draw,
    tint,
    close() {
      ask.stop();
      unwatch();
    },
  };
}

/** A cell with an interpolated number, or empty. */
function about(value) {
  return Number.isFinite(value) ? h("td", { class: "number pale" }, `≈ ${shown(value, 4)}`) : null;
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
  if (isFormula(name)) return [name, given.join(", ")].filter(Boolean).join("; ");
  return given.length ? `${name}(${given.join(", ")})` : name;
}

/**
 * The specification without what is shown elsewhere: the functions' cards are the legend, only the last panel has the
 * x-axis, and titles are above their panels, where long labels cannot push them out. `parts` are the visible parts of
 * the y-axes.
 */
function bare(spec, parts) {
  const panels = JSON.parse(JSON.stringify(spec.vconcat, (key, value) => (key === "legend" ? null : value)));
  const titled = panels.map((panel) => titledAbove(panel, { format: "~g" }));
  for (const [index, panel] of titled.entries()) {
    const labels = index === titled.length - 1;
    panel.encoding.x.axis = { labels, tickCount: Math.max(4, Math.round(panel.width / 60)) };
    if (parts[index]) panel.encoding.y.scale = { domain: parts[index], nice: false, zero: false };
    for (const { mark } of panel.layer) mark.clip = true;
  }
  return { ...spec, spacing: 14, vconcat: titled };
}

/** A line of this colour and these dashes, as a background. */
function dashed(hue, [on, off]) {
  return off ? `repeating-linear-gradient(90deg, ${hue} 0 ${on}px, transparent ${on}px ${on + off}px)` : hue;
}
