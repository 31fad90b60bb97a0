// The entry point: the frame around the views, and the choice of the open one.

import { arrived, keep } from "./api.js";
import { problem } from "./controls.js";
import { h } from "./dom.js";
import { address, read, settle, state, VIEWS } from "./state.js";
import { session } from "./storage.js";
import { choose, language, other, t } from "./words.js";

/** The file of each view; the file and its export are named like the view. */
const FILES = { learn: "./learn/learn.js", train: "./train/train.js", verify: "./verify/verify.js" };

/** Embedded in another page, only the scenes are shown, and no key is asked for. */
const embedded = new URLSearchParams(location.search).get("embed") === "1";
const SAVED = "state"; // keeps what the address does not hold across a reload or a switch of language

const main = document.querySelector("main");
const links = VIEWS.map((view) => h("a", { href: address(view) }, t(`view.${view}`)));
let close = () => {};
let opened = 0;

document.documentElement.lang = language;
document.documentElement.classList.toggle("embedded", embedded);
document.title = t("page.title");
const skip = document.querySelector(".skip");
skip.textContent = t("page.skip");
skip.addEventListener("click", (event) => {
  event.preventDefault(); // the fragment belongs to the view
  main.focus();
});
const nav = document.querySelector("nav");
nav.ariaLabel = t("page.views");
nav.append(...links);
document
  .querySelector(".tools")
  .append(
    h("a", { href: "docs" }, t("page.api")),
    h(
      "button",
      { type: "button", class: "plain", lang: other, onclick: switched },
      t("page.switch"),
    ),
  );

function switched() {
  settle(); // the page is loaded again at its address
  choose(other);
}

async function show() {
  opened += 1;
  const turn = opened;
  close();
  close = () => {};
  read();
  if (embedded) state.view = "learn";
  for (const [index, view] of VIEWS.entries()) {
    if (view === state.view) links[index].setAttribute("aria-current", "page");
    else links[index].removeAttribute("aria-current");
  }
  nav.scrollLeft = links[VIEWS.indexOf(state.view)].offsetLeft - nav.offsetLeft - 40; // on a phone it is a strip
  document.title = `${t(`view.${state.view}`)} – ${t("page.title")}`;
  const root = h("div", { class: `view ${state.view}` });
  main.replaceChildren(h("p", { class: "quiet loading", role: "status" }, t("loading")), root);
  try {
    const { [state.view]: open } = await arrived(import(FILES[state.view] ?? `./${state.view}.js`));
    const closing = await open(root);
    if (turn === opened) close = closing;
    else closing();
  } catch (error) {
    root.replaceChildren(problem(error, () => location.reload())); // browsers do not load a failed module again
  }
}

for (const [index, link] of links.entries()) {
  // The current address, so that settings of other views are kept.
  link.addEventListener("pointerdown", () => (link.href = address(VIEWS[index])));
  link.addEventListener("focus", () => (link.href = address(VIEWS[index])));
  link.addEventListener("click", settle);
}

addEventListener("key-wanted", () => {
  if (embedded || document.querySelector(".key")) return;
  const field = h("input", { type: "password", autocomplete: "off", required: true, id: "key" });
  const use = (event) => {
    event.preventDefault();
    keep(field.value);
    form.remove();
    show();
  };
  const form = h(
    "form",
    { class: "key", onsubmit: use },
    h("h2", {}, t("key.title")),
    h("p", {}, t("key.lead")),
    h(
      "div",
      { class: "row" },
      h("label", { for: "key" }, t("key.label")),
      field,
      h("button", { type: "submit" }, t("key.use")),
    ),
  );
  main.before(form);
});

addEventListener("pagehide", () => session.setItem(SAVED, JSON.stringify(state)));
addEventListener("hashchange", show);

for (const [view, fields] of Object.entries(JSON.parse(session.getItem(SAVED) ?? "{}"))) {
  if (VIEWS.includes(view)) Object.assign(state[view], fields);
}
await show();
