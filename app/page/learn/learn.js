// See it happen: eleven scenes, each with one claim, a prediction, one control and a live result.

import { arrived } from "../api.js";
import { h } from "../dom.js";
import { remember, state } from "../state.js";
import { language, t } from "../words.js";
import { frame } from "./frame.js";
import { w } from "./words.js";

/** The scenes in order; each has its own file. */
export const SCENES = [
  "nonlinear",
  "sigmoid",
  "vanishing",
  "probability",
  "zigzag",
  "tanh",
  "race",
  "dying",
  "prelu",
  "elu",
  "choice",
];

const to = (id) => `#/learn/${id}?lang=${language}`;

let followed = false; // whether the reader followed one of our links: the focused element is gone then

/** Opens the scene named in the address. @param {Element} root */
export async function learn(root) {
  const own = state.learn;
  if (!SCENES.includes(own.scene)) Object.assign(own, { scene: SCENES[0], value: "" });
  const place = SCENES.indexOf(own.scene);
  const list = h(
    "nav",
    { class: "scenes", "aria-label": w("scenes") },
    h(
      "ol",
      {},
      SCENES.map((id, index) =>
        h(
          "li",
          {},
          h(
            "a",
            { href: to(id), "aria-current": index === place && "page" },
            h("span", { class: "place" }, index + 1),
            w(`${id}.name`),
          ),
        ),
      ),
    ),
  );
  const article = h("article", { class: `scene scene-${own.scene}` });
  root.append(list, article, neighbours(place));
  root.addEventListener("click", ({ target }) => (followed = target.closest?.("nav a") !== null));
  const current = list.querySelector("[aria-current]");
  list.scrollLeft = current.offsetLeft - 40; // on a phone the list is a horizontal strip
  if (followed) {
    scrollTo(0, 0);
    current.focus({ preventScroll: true });
  }
  followed = false;
  document.title = `${w(`${own.scene}.name`)} – ${t("page.title")}`;
  remember();
  const { default: scene } = await arrived(import(`./scenes/${own.scene}.js`));
  return frame(article, { id: own.scene, place, ...scene }, own);
}

function neighbours(place) {
  const link = (index, words) =>
    SCENES[index] && h("a", { href: to(SCENES[index]) }, w(words, { name: w(`${SCENES[index]}.name`) }));
  return h(
    "nav",
    { class: "neighbours", "aria-label": w("around") },
    h("span", {}, link(place - 1, "before")),
    h("span", {}, link(place + 1, "after")),
  );
}
