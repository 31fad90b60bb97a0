// Vega draws what the service specifies. The script is large, so it is asked for after the first text stands.

let script = null;

function vega() {
  if (!script) {
    script = import("./vega.js").then(() => window.vegaEmbed);
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
  logLevel: 1, // errors; an empty data set is none
};

const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = () => (dark.matches ? "dark" : "light");

/** One picture. New data in an unchanged specification is put into the drawn picture, which takes milliseconds. */
export class Chart {
  #view = null;
  #frame = "";

  constructor(element) {
    this.element = element;
    vega(); // comes while the specification is fetched
  }

  /** Draws; resolves when the picture stands. */
  async draw({ datasets, ...frame }) {
    const embed = await vega();
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

  /** Vega's view of what is drawn, or null. */
  get view() {
    return this.#view;
  }

  /** The frames of the picture's panels, on the screen. */
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
