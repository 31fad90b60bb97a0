// Explore: curves of several functions, their values at the cursor and at the reader's own numbers, and facts.

import { catalogue } from "./api.js";
import { callBox } from "./calls.js";
import { choicePart, formulaPart, introductory } from "./choice.js";
import { adjustable, card, mended, problem, sliders, strangers } from "./controls.js";
import { picturePart } from "./curves.js";
import { h } from "./dom.js";
import { described, isFormula, known } from "./formulas.js";
import { numbersPart } from "./own.js";
import { factSheet } from "./sheet.js";
import { remember, state } from "./state.js";
import { said, t } from "./words.js";

export async function explore(main) {
  const own = state.explore;
  const functions = await catalogue();
  const byName = known(functions);
  const lost = strangers(own.functions, byName);
  if (!own.functions.length)
    own.functions = introductory(functions).map(({ name }) => ({ name, params: {} }));

  const cards = h("ul", { class: "cards" });
  const notes = h("div");
  const picture = picturePart(own, byName);
  const calls = callBox();
  const mine = numbersPart(own, byName, () => calls.show(mine.call()));
  const about = aboutPart(own, byName, () => {
    mine.stale();
    calls.show(mine.call());
  });
  const choice = choicePart(functions, own, update);
  const formula = formulaPart(own, update);

  main.append(
    h("header", { class: "lead" }, h("h1", {}, t("explore.title")), h("p", {}, t("explore.lead"))),
    ...lost,
    h(
      "div",
      { class: "columns" },
      h(
        "section",
        { class: "panel", "aria-label": t("explore.functions") },
        h("h2", {}, t("explore.functions")),
        notes,
        cards,
        choice,
        formula,
      ),
      picture.element,
    ),
    about.element,
    mine.element,
    calls.element,
  );
  await chosen();
  return picture.close;

  function update() {
    return chosen().catch((error) => cards.replaceChildren(problem(error, update)));
  }

  async function chosen() {
    own.focus = Math.max(0, Math.min(own.focus, own.functions.length - 1));
    const given = own.functions.some(({ params }) => Object.keys(params).length);
    const drawing = given ? null : moved(); // at the same time as the facts, if these cannot change it
    const settled = await Promise.allSettled(own.functions.map(described));
    const all = settled.map(({ value }, index) => value ?? { ...byName.get(own.functions[index].name), parameters: [] });
    const refused = settled.filter(({ reason }) => reason).map(({ reason }) => problem(reason, update));
    notes.replaceChildren(
      ...refused,
      ...all.flatMap((each, index) => (settled[index].value ? mended(each, own.functions[index].params) : [])),
    );
    cards.replaceChildren(...all.map(drawn));
    picture.tint();
    await about.show();
    await (drawing ?? moved());
  }

  async function moved() {
    remember();
    calls.show(mine.call());
    mine.stale();
    about.moved();
    await picture.draw();
  }

  function drawn(each, index) {
    const { params } = own.functions[index];
    const remove = () => {
      own.functions.splice(index, 1);
      choice.dispatchEvent(new Event("sync"));
      return update();
    };
    return card(
      said(each.title),
      remove,
      h("span", { class: "swatch", "data-index": index }),
      each.kind === "rowwise" && h("p", { class: "quiet" }, t("explore.mixes")),
      each.parameters.length > adjustable(each).length && h("p", { class: "quiet" }, t("explore.arrays")),
      sliders(each, params, moved),
    );
  }
}

/** The facts about one of the chosen functions. */
function aboutPart(own, byName, focused) {
  const tabs = h("div", { class: "segments", role: "group", "aria-label": t("explore.which") });
  const sheet = h("div");
  const element = h(
    "section",
    { class: "about" },
    h("div", { class: "row" }, h("h2", {}, t("explore.about")), tabs),
    sheet,
  );
  let timer = 0;
  return { element, show, moved };

  /** A formula's facts depend on its parameters. */
  function moved() {
    clearTimeout(timer);
    if (isFormula(own.functions[own.focus]?.name ?? "")) timer = setTimeout(show, 400);
  }

  async function show() {
    element.hidden = !own.functions.length;
    if (element.hidden) return;
    tabs.replaceChildren(
      ...own.functions.map(({ name }, index) =>
        h(
          "button",
          { type: "button", "aria-pressed": String(index === own.focus), onclick: () => choose(index) },
          said(byName.get(name).title),
        ),
      ),
    );
    try {
      sheet.replaceChildren(factSheet(await described(own.functions[own.focus])));
    } catch (error) {
      sheet.replaceChildren(problem(error, show));
    }
  }

  async function choose(index) {
    own.focus = index;
    remember();
    await show();
    tabs.children[index].focus();
    focused();
  }
}
