// The scenes' pictures: Vega-Lite specifications in the page's colours, and points that can be dragged in them.

import { Chart, theme } from "../chart.js";
import { latest } from "../dom.js";

/** Okabe and Ito's colours, as in the service's pictures; no information is given by the colour of text alone. */
const HUES = {
  light: { blue: "#0072b2", red: "#d55e00", alarm: "#a83a00", green: "#00835f", pink: "#a0437c", quiet: "#6b747d", paper: "#ffffff", ink: "#1c2126" },
  dark: { blue: "#56b4e9", red: "#e69f00", alarm: "#f3a05f", green: "#35b98d", pink: "#d88fb8", quiet: "#9da6af", paper: "#161b20", ink: "#e4e7ea" },
};

/** The colours of the theme. */
export const hues = () => HUES[theme()];

/** Numbers from `low` to `high`, both included. */
export function grid(low, high, count) {
  return Array.from({ length: count }, (_, index) => low + ((high - low) * index) / (count - 1));
}

/** Rows for a line: x and y. */
export const rows = (xs, ys) =>
  xs.map((x, index) => ({ x, y: Number.isFinite(ys[index]) ? ys[index] : null, i: index }));

const narrow = matchMedia("(max-width: 860px)");
const LOWER = 0.64; // on a phone, where the stage stays visible while the text scrolls

const quantitative = (field) => ({ field, type: "quantitative" });

/** A line through the rows of a dataset, in their order. */
export const line = (data, color, options = {}) => ({
  data: { name: data },
  mark: { type: "line", color, strokeWidth: 2.5, clip: true, ...options },
  encoding: { x: quantitative("x"), y: quantitative("y"), order: quantitative("i") },
});

/** Dots at the rows of a dataset. */
export const dots = (data, color, options = {}) => ({
  data: { name: data },
  mark: { type: "point", filled: true, opacity: 1, size: 70, color, clip: true, ...options },
  encoding: { x: quantitative("x"), y: quantitative("y") },
});

/** Texts at the rows of a dataset, from its field `text`. */
export const words = (data, color, options = {}) => ({
  data: { name: data },
  mark: { type: "text", color, fontSize: 12.5, align: "left", ...options },
  encoding: { x: quantitative("x"), y: quantitative("y"), text: { field: "text", type: "nominal" } },
});

/** Rectangles from x, y to x2, y2. */
export const boxes = (data, color, options = {}) => ({
  data: { name: data },
  mark: { type: "rect", color, opacity: 0.12, clip: true, ...options },
  encoding: { x: quantitative("x"), x2: { field: "x2" }, y: quantitative("y"), y2: { field: "y2" } },
});

/** Straight lines from x, y to x2, y2. */
export const strokes = (data, color, options = {}) => ({
  data: { name: data },
  mark: { type: "rule", color, strokeWidth: 1.5, clip: true, ...options },
  encoding: { x: quantitative("x"), x2: { field: "x2" }, y: quantitative("y"), y2: { field: "y2" } },
});

function config() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  const text = { labelColor: value("--quiet"), titleColor: value("--quiet"), labelFontSize: 12, titleFontSize: 12.5 };
  return {
    font: getComputedStyle(document.body).fontFamily,
    axis: {
      ...text,
      titleFontWeight: 400,
      gridColor: value("--rule"),
      domainColor: value("--edge"),
      tickColor: value("--edge"),
    },
    view: { stroke: null },
  };
}

/** One picture of a scene, in an element of its own. */
export class Plot {
  #chart;

  /** @param {Element} stage @param {{ label: string, height: number, class?: string }} options */
  constructor(stage, { label, height, class: name = "" }) {
    this.element = document.createElement("div");
    this.element.className = `plot ${name}`;
    this.height = height;
    const drawing = document.createElement("div");
    drawing.className = "drawing";
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label", label);
    this.element.append(drawing);
    stage.append(this.element);
    this.#chart = new Chart(drawing);
  }

  /**
   * Draws rows of `datasets` in `layer`; `x` and `y` describe the axes: title, domain, further fields. If pictures are
   * requested faster than they can be drawn, some are skipped.
   * @type {(spec: object) => Promise<void>}
   */
  draw = latest((spec) => this.#paint(spec));

  async #paint({ x, y, layer, datasets }) {
    const height = this.#tall();
    this.element.style.minHeight = `${height}px`;
    const axes = { x: axis(x, "x"), y: axis(y, "y") };
    try {
      await this.#chart.draw({
        $schema: "https://vega.github.io/schema/vega-lite/v6.json",
        width: Math.max(160, this.element.clientWidth - 8),
        height,
        autosize: { type: "fit", contains: "padding" },
        config: config(),
        layer: layer.map((each) => ({
          ...each,
          encoding: Object.fromEntries(
            Object.entries(each.encoding).map(([key, value]) => [
              key,
              axes[key] ? { ...axes[key], ...value } : value,
            ]),
          ),
        })),
        datasets,
      });
    } catch (error) {
      this.element.dispatchEvent(new CustomEvent("unpainted", { bubbles: true, detail: error })); // the frame reports it
    }
  }

  #tall() {
    return Math.round(this.height * (narrow.matches ? LOWER : 1));
  }

  /** The fraction of the y-axis that a line of text takes. */
  get wordy() {
    return 14 / (this.#tall() - 46);
  }

  /** How far an axis must extend beyond its data to leave so many pixels for text. */
  room(pixels) {
    const width = Math.max(160, this.element.clientWidth) - 60;
    return width / (width - pixels);
  }

  /** The pointer's position in the axes' units; null if nothing is drawn. */
  at({ clientX, clientY }) {
    const view = this.#chart.view;
    const [panel] = this.#chart.panels();
    if (!view || !panel) return null;
    const [x, y] = ["x", "y"].map((name) => view.scale(name));
    const width = Math.abs(x.range()[1] - x.range()[0]);
    const tall = Math.abs(y.range()[1] - y.range()[0]);
    return {
      x: x.invert(((clientX - panel.left) / panel.width) * width),
      y: y.invert(((clientY - panel.top) / panel.height) * tall),
      /** The distance from there to a point, in pixels. */
      far: (point) =>
        Math.hypot(
          (x(point.x) / width) * panel.width - (clientX - panel.left),
          (y(point.y) / tall) * panel.height - (clientY - panel.top),
        ),
    };
  }

  /**
   * Lets the reader drag what `grab` finds at the pointer; `move` is called with its new place.
   * @template K
   * @param {(place: object) => K | null} grab
   * @param {(key: K, place: { x: number, y: number }) => void} move
   */
  drag(grab, move) {
    let held = null;
    const taken = (event) => {
      const place = this.at(event);
      return place && grab(place);
    };
    this.element.classList.add("movable");
    this.element.addEventListener("touchstart", (event) => taken(event.touches[0]) != null && event.preventDefault(), {
      passive: false,
    });
    this.element.addEventListener("pointerdown", (event) => {
      held = taken(event);
      if (held == null) return;
      this.element.setPointerCapture(event.pointerId);
      move(held, this.at(event));
    });
    this.element.addEventListener("pointermove", (event) => {
      if (held != null) move(held, this.at(event));
    });
    for (const end of ["pointerup", "pointercancel"])
      this.element.addEventListener(end, () => (held = null));
  }
}

function axis({ title, domain, type, ...rest }, name) {
  return {
    title,
    scale: { ...(domain && { domain }), zero: false, nice: false, ...(type && { type }) },
    axis: { tickCount: 5, ...(name === "y" && { minExtent: 40, maxExtent: 40 }), ...rest },
  };
}
