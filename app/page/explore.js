// Explore: curves of several functions, their values at the cursor and at the reader's own numbers, and facts.

import { catalogue, facts, Failure, get, post } from "./api.js";
import { callBox, pictureLinks } from "./calls.js";
import { Chart, theme, watch } from "./chart.js";
import { adjustable, figure, problem, sliders } from "./controls.js";
import { h, latest, math } from "./dom.js";
import { fromJson, number, parse, plain, shown, textOf, toJson } from "./numbers.js";
import { factSheet } from "./sheet.js";
import { remember, state } from "./state.js";
import { language, said, t } from "./words.js";

const SHOWN = 200; // numbers of the reader's own that are written out
const WIDEST = 8; // longest row whose Jacobian is

export async function explore(main) {
  const own = state.explore;
  const functions = await catalogue();
  const byName = new Map(functions.map((each) => [each.name, each]));
  own.functions = own.functions.filter(({ name }) => byName.has(name));
  if (!own.functions.length) own.functions = introductory(functions).map(({ name }) => ({ name, params: {} }));

  const cards = h("ul", { class: "cards" });
  const picture = picturePart(own, byName);
  const calls = callBox();
  const mine = numbersPart(own, byName, () => calls.show(mine.call()));
  const about = aboutPart(own, byName, () => {
    mine.stale();
    calls.show(mine.call());
  });
  const choice = choicePart(functions, own, update);

  main.append(
    h("header", { class: "lead" }, h("h1", {}, t("explore.title")), h("p", {}, t("explore.lead"))),
    h("div", { class: "columns" },
      h("section", { class: "panel", "aria-label": t("explore.functions") }, h("h2", {}, t("explore.functions")), cards, choice),
      picture.element),
    about.element, mine.element, calls.element,
  );
  await chosen();
  return picture.close;

  function update() {
    return chosen().catch((error) => cards.replaceChildren(problem(error, update)));
  }

  async function chosen() {
    own.focus = Math.max(0, Math.min(own.focus, own.functions.length - 1));
    const drawing = moved(); // beside the facts
    const all = await Promise.all(own.functions.map(({ name }) => facts(name)));
    cards.replaceChildren(...all.map((each, index) => card(each, index)));
    picture.tint();
    await about.show();
    await drawing;
  }

  async function moved() {
    remember();
    calls.show(mine.call());
    mine.stale();
    await picture.draw();
  }

  function card(each, index) {
    const { params } = own.functions[index];
    const remove = () => {
      own.functions.splice(index, 1);
      choice.dispatchEvent(new Event("sync"));
      return update();
    };
    return h(
      "li", { class: "card" },
      h("div", { class: "row" }, h("span", { class: "swatch", "data-index": index }), h("strong", {}, said(each.title)),
        h("button", { type: "button", class: "icon", "aria-label": t("explore.remove", { name: said(each.title) }), onclick: remove }, "×")),
      each.kind === "rowwise" && h("p", { class: "quiet" }, t("explore.mixes")),
      each.parameters.length > adjustable(each).length && h("p", { class: "quiet" }, t("explore.arrays")),
      sliders(each, params, moved),
    );
  }
}

/** The first of each kind of saturation: on both sides, on both around zero, and on the negative side alone. */
function introductory(functions) {
  const both = functions.filter(({ saturates }) => saturates.length === 2);
  const found = [both[0], both.find((each) => each.zero_centred), functions.find(({ saturates }) => String(saturates) === "negative")];
  return found.filter(Boolean).length ? found.filter(Boolean) : functions.slice(0, 1);
}

function choicePart(functions, own, update) {
  const boxes = functions.map(({ name, title }) => {
    const box = h("input", { type: "checkbox", onchange: () => toggle(name, box.checked) });
    return { name, box, label: h("label", {}, box, said(title)), words: `${name} ${title.en} ${title.ko}`.toLowerCase() };
  });
  const nothing = h("p", { class: "quiet", hidden: true }, t("explore.none"));
  const find = h("input", { type: "search", placeholder: t("explore.find"), "aria-label": t("explore.find"), oninput: filter });
  const element = h(
    "details", { class: "choice", onsync: sync }, h("summary", {}, t("explore.choose")), find,
    h("div", { class: "options", role: "group", "aria-label": t("explore.functions"), tabindex: 0 }, boxes.map(({ label }) => label)), nothing,
  );
  sync();
  return element;

  function sync() {
    for (const { name, box } of boxes) box.checked = own.functions.some((each) => each.name === name);
  }

  function filter() {
    const wanted = find.value.trim().toLowerCase();
    for (const { label, words } of boxes) label.hidden = !words.includes(wanted);
    nothing.hidden = boxes.some(({ label }) => !label.hidden);
  }

  function toggle(name, on) {
    if (on) own.functions.push({ name, params: {} });
    else own.functions = own.functions.filter((each) => each.name !== name);
    if (on) own.focus = own.functions.length - 1;
    return update();
  }
}

/** The curves, and the values where the cursor stands. */
function picturePart(own, byName) {
  const drawing = h("div", { class: "drawing", role: "img" });
  const rule = h("div", { class: "rule", hidden: true });
  const stage = h("div", { class: "stage" }, drawing, rule);
  const message = h("div", {});
  const links = h("p", { class: "quiet" });
  const chart = new Chart(drawing);
  const body = h("tbody");
  const place = h("input", { type: "range", "aria-label": "x", oninput: () => at(Number(place.value)) });
  const exact = h("input", { type: "text", inputmode: "decimal", size: 9, "aria-label": "x", oninput: typed });
  const ends = ["low", "high"].map((key) =>
    h("input", { type: "text", inputmode: "decimal", size: 5, value: shown(own[key]), "aria-label": t(key === "low" ? "explore.from" : "explore.to"), onchange: ({ target }) => widen(key, target) }),
  );
  const head = ["explore.function", "f(x)", "f′(x)", "f″(x)"].map((each, index) =>
    h("th", { scope: "col", class: index && "number" }, index ? each : t(each)),
  );
  const table = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": t("explore.cursor") },
    h("table", { class: "values" }, h("thead", {}, h("tr", {}, head)), body));
  const element = h(
    "section", { class: "picture", "aria-label": t("view.explore") }, message, stage,
    h("div", { class: "row cursor" }, h("label", {}, h("i", {}, "x"), " = ", exact), place,
      h("span", { class: "row", role: "group", "aria-label": t("explore.range") }, ends[0], "…", ends[1])),
    table, h("p", { class: "quiet" }, t("explore.hint")), links,
  );

  let look = null; // the hues and dashes that curves take in turn

  const curves = () => own.functions.filter(({ name }) => byName.get(name).kind === "elementwise");

  /** Gives each function's card the hue and the dashes that its curve has. */
  function tint() {
    const drawn = curves();
    for (const swatch of document.querySelectorAll(".swatch[data-index]")) {
      const index = drawn.indexOf(own.functions[swatch.dataset.index]);
      const known = look && index >= 0;
      swatch.style.background = known ? dashed(look.hues[index % look.hues.length], look.dashes[index % look.dashes.length]) : "none";
    }
  }

  const draw = latest(async () => {
    const drawn = curves();
    stage.hidden = !drawn.length;
    for (const [index, key] of ["min", "max"].entries()) place[key] = index ? own.high : own.low;
    place.step = (own.high - own.low) / 400;
    if (!drawn.length) return message.replaceChildren(h("p", { class: "quiet" }, t("explore.empty")));
    drawing.ariaLabel = t("explore.curves", { names: drawn.map(({ name }) => said(byName.get(name).title)).join(", ") });
    try {
      const path = curvesPath(drawn, own, stage.clientWidth);
      links.replaceChildren(...pictureLinks(path));
      const spec = await get(path);
      look = { hues: spec.config.range.category, dashes: spec.vconcat[0].layer[0].encoding.strokeDash.scale.range };
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
    const asked = drawn.map(({ name, params }) => post("/activate", { function: name, params, inputs: toJson(own.x), order: 2 }));
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
    if (!right) return message.replaceChildren(h("p", { class: "problem", role: "alert" }, t("explore.badRange")));
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

/** What is known about one of the chosen functions. */
function aboutPart(own, byName, focused) {
  const tabs = h("div", { class: "segments", role: "group", "aria-label": t("explore.which") });
  const sheet = h("div");
  const element = h("section", { class: "about" }, h("div", { class: "row" }, h("h2", {}, t("explore.about")), tabs), sheet);
  return { element, show };

  async function show() {
    element.hidden = !own.functions.length;
    if (element.hidden) return;
    tabs.replaceChildren(...own.functions.map(({ name }, index) =>
      h("button", { type: "button", "aria-pressed": String(index === own.focus), onclick: () => choose(index) }, said(byName.get(name).title))));
    sheet.replaceChildren(factSheet(await facts(own.functions[own.focus].name)));
  }

  async function choose(index) {
    own.focus = index;
    remember();
    await show();
    tabs.children[index].focus();
    focused();
  }
}

/** Values and slopes at the reader's own numbers. */
function numbersPart(own, byName, changed) {
  const text = h("textarea", { rows: 8, spellcheck: "false", value: own.numbers, placeholder: "-2, -1, 0, 0.5, 1, 2", "aria-label": t("explore.numbers"), oninput: typed, onpaste: () => setTimeout(() => compute()) });
  const file = h("input", { type: "file", accept: ".csv,.txt,.tsv,.npy", class: "hidden", tabindex: -1, "aria-hidden": "true", onchange: () => load(file.files[0]) });
  const results = h("div", { "aria-live": "polite" });
  const long = h("p", { class: "quiet", hidden: true }, t("explore.long"));
  const element = h(
    "section", { class: "own" }, h("h2", {}, t("explore.own")), h("p", { class: "quiet" }, t("explore.ownLead")),
    h("div", { class: "columns even" },
      h("form", { onsubmit: submit }, text, file,
        h("div", { class: "row" }, h("button", { type: "submit" }, t("explore.compute")),
          h("button", { type: "button", class: "plain", onclick: () => file.click() }, t("explore.file")),
          h("button", { type: "button", class: "plain", onclick: clear }, t("explore.clear"))), long),
      results),
  );
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    const [dropped] = event.dataTransfer.files;
    if (dropped) load(dropped);
  });
  const compute = latest(run);
  if (own.numbers) compute();
  return { element, call, stale };

  function typed() {
    own.numbers = text.value;
    long.hidden = own.numbers.length <= 1000;
    remember();
    changed();
  }

  function submit(event) {
    event.preventDefault();
    return compute();
  }

  function clear() {
    text.value = "";
    typed();
    results.replaceChildren();
  }

  async function load(chosen) {
    try {
      text.value = await textOf(chosen);
      typed();
      await compute();
    } catch (error) {
      results.replaceChildren(problem(error));
    }
  }

  /** Results of another function or other parameters are computed anew. */
  function stale() {
    if (results.firstChild && own.numbers) compute();
  }

  function asked(inputs) {
    const { name, params } = own.functions[own.focus];
    return { function: name, inputs: toJson(inputs), params, order: byName.get(name).kind === "elementwise" ? 2 : 1 };
  }

  function call() {
    if (!own.functions.length) return null;
    let inputs = own.x;
    try {
      const given = parse(own.numbers);
      if (given.length && own.numbers.length < 1000) inputs = given;
    } catch {
      // What cannot be read is told where it stands; the call keeps to the cursor.
    }
    return { path: "/activate", body: asked(inputs) };
  }

  async function run() {
    if (!own.functions.length) return;
    try {
      const inputs = parse(own.numbers);
      if (!inputs.length) return;
      const body = asked(inputs);
      results.replaceChildren(table(inputs, await post("/activate", body), said(byName.get(body.function).title)));
    } catch (error) {
      results.replaceChildren(problem(error, compute));
    }
  }
}

function table(inputs, answer, title) {
  const elementwise = answer.second_derivative != null;
  const { names, rows } = elementwise ? perElement(inputs, answer) : perRow(inputs, answer);
  const digits = elementwise ? 10 : 5;
  const head = names.map((name) => h("th", { scope: "col", class: "number" }, name));
  const body = rows.slice(0, SHOWN).map((row) => h("tr", {}, row.map((value) => figure(value, digits))));
  return h(
    "div", {},
    h("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": t("explore.results", { name: title }) },
      h("table", {}, h("caption", {}, t("explore.results", { name: title })), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body))),
    rows.length > SHOWN && h("p", { class: "quiet" }, t("explore.rows", { shown: SHOWN, all: rows.length })),
    h("button", { type: "button", class: "plain", onclick: () => save(names, rows) }, t("explore.csv")),
  );
}

function perElement(inputs, { outputs, derivative, second_derivative: second }) {
  const columns = [inputs, outputs, derivative, second].map((each) => each.flat(Infinity).map(fromJson));
  return { names: ["x", "f(x)", "f′(x)", "f″(x)"], rows: columns[0].map((_, index) => columns.map((each) => each[index])) };
}

/** A function that mixes a row: each output with its derivatives by all inputs of its row. */
function perRow(inputs, { outputs, derivative }) {
  const matrix = (each, axes) => (axes ? each : [each]);
  const many = Array.isArray(inputs[0]);
  const wide = (many ? inputs[0] : inputs).length;
  const [given, values, slopes] = [inputs, outputs, derivative].map((each) => matrix(each, many));
  const jacobian = wide <= WIDEST;
  const alike = given[0].length === values[0].length;
  const names = [...(alike ? ["x"] : []), "y", ...(jacobian ? Array.from({ length: wide }, (_, index) => `∂y/∂x${subscript(index + 1)}`) : [])];
  const rows = given.flatMap((_, row) =>
    values[row].map((value, index) => [...(alike ? [given[row][index]] : []), value, ...(jacobian ? slopes[row][index] : [])].map(fromJson)),
  );
  return { names, rows };
}

const subscript = (index) => String.fromCodePoint(0x2080 + index);

function save(names, rows) {
  const text = [names, ...rows.map((row) => row.map(plain))].map((row) => row.join(",")).join("\n");
  const url = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
  h("a", { href: url, download: "values.csv" }).click();
  URL.revokeObjectURL(url);
}
