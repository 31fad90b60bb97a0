// Vega draws the service's specifications. The script is large, so it is loaded after the first text is shown.

import { Failure } from "./api.js";
import { h } from "./dom.js";
import { t } from "./words.js";

let script = null;
let tries = 0;

function vega() {
  if (!script) {
    tries += 1; // browsers cache the failure of an import by its URL
    script = import(`./vega.js${tries > 1 ? `?try=${tries}` : ""}`).then(() => window.vegaEmbed);
    script.catch(() => (script = null)); // the next drawing tries again
  }
  return script;
}

const OPTIONS = {
  mode: "vega-lite",
  renderer: "svg",
  ast: true, // the page's policy forbids eval, so expressions are interpreted
  actions: false,
  tooltip: false,
  defaultStyle: false,
  logLevel: 1, // errors only: an empty dataset is no reason to warn
};

const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = () => (dark.matches ? "dark" : "light");

const TITLE = { anchor: "start", frame: "group", fontSize: 12, fontWeight: "normal", offset: 6 };

/** Pixels for the labels of a y-axis, enough for the longest. */
const TICKS = { minExtent: 36, maxExtent: 48, labelLimit: 46 };

/** A panel with its y-title above it, where long labels cannot push it out of the picture. */
export function titledAbove(panel, axis = {}) {
  const copy = structuredClone(panel);
  const heights = [copy, ...(copy.layer ?? []).flatMap((each) => [each, ...(each.layer ?? [])])]
    .map(({ encoding }) => encoding?.y)
    .filter((y) => y?.type);
  const text = heights.find(({ title }) => title)?.title;
  for (const y of heights) Object.assign(y, { title: null, axis: { ...TICKS, ...y.axis, ...axis } });
  return text ? { ...copy, title: { ...TITLE, text } } : copy;
}

/** One picture. If only the data change, the existing picture is updated, which takes milliseconds. */
export class Chart {
  #view = null;
  #frame = "";

  constructor(element) {
    this.element = element;
    if (!element.firstChild) element.append(h("p", { class: "quiet waiting", role: "status" }, t("chart.loading")));
    vega().catch(() => {}); // loaded while the specification is fetched; drawing reports a failure
  }

  /** Draws; resolves when the picture is complete. Throws `Failure` if the library cannot be loaded. */
  async draw({ datasets, ...frame }) {
    const embed = await vega().catch(() => {
      if (!this.#view) this.element.replaceChildren();
      throw new Failure("picture");
    });
    const key = JSON.stringify(frame);
    if (key === this.#frame) {
      for (const [name, rows] of Object.entries(datasets)) this.#view.data(name, rows);
      await this.#view.runAsync();
      return;
    }
    this.#view?.finalize();
    this.#frame = "";
    const spec = { ...frame, datasets, background: "transparent", padding: 4 };
    ({ view: this.#view } = await embed(this.element, spec, OPTIONS));
    this.#frame = key;
  }

  /** The position of `value` in the panel with this number: the fraction of its height from the top. */
  height(panel, value) {
    const scale = this.#view.scale(`concat_${panel}_y`);
    return scale(value) / Math.max(...scale.range());
  }

  /** Vega's view, or null if nothing is drawn. */
  get view() {
    return this.#view;
  }

  /** The rectangles of the panels on the screen. */
  panels() {
    const groups = [...this.element.querySelectorAll("svg .mark-group")];
    const panels = groups.filter((each) =>
      /\bconcat_\d+_group\b|\brole-frame\b/.test(each.getAttribute("class")),
    );
    const frames = panels.map((each) => each.querySelector("path.background").getBoundingClientRect());
    return frames.filter(({ height }) => height > 0);
  }
}

/** Calls `redraw` when the theme changes or `element` becomes wider or narrower. */
export function watch(element, redraw) {
  let width = 0;
  let timer = 0;
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(redraw, 120);
  };
  dark.addEventListener("change", changed);
  const observer = new ResizeObserver(([{ contentRect }]) => {
    if (width && Math.abs(contentRect.width - width) > 1) changed();
    width = contentRect.width;
  });
  observer.observe(element);
  return () => {
    dark.removeEventListener("change", changed);
    observer.disconnect();
    clearTimeout(timer);
  };
}
