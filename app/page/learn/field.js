// A map of the plane, shaded by a network's output, with its decision boundary.

import { h } from "../dom.js";
import { hues } from "./plot.js";

const SIZE = 220; // pixels of the canvas along each side
const EMPTY = { low: [-1.4, -1.4], high: [1.4, 1.4] }; // before the first data

/** A map with its name and a note below it. */
export class Field {
  #canvas;
  #note;

  constructor(row, { name, label, hue }) {
    this.#canvas = h("canvas", { width: SIZE, height: SIZE, role: "img", "aria-label": label });
    this.#note = h("span", { class: "quiet" });
    this.hue = hue;
    this.title = h("strong", {}, name);
    row.append(h("figure", { class: "field-map" }, this.#canvas, h("figcaption", {}, this.title, " ", this.#note)));
  }

  /**
   * Shades the map by probabilities of class 1 on a grid of `place`, rows upwards, and draws the two rings.
   * @param {number[][] | undefined} values
   * @param {{ low: number[], high: number[] } | null | undefined} place
   * @param {string} note  the text beside the name
   */
  draw(values, place, note) {
    const { blue, red, quiet, paper } = hues();
    const pen = this.#canvas.getContext("2d");
    this.#note.textContent = note;
    if (this.hue) this.title.style.color = hues()[this.hue];
    pen.fillStyle = paper;
    pen.fillRect(0, 0, SIZE, SIZE);
    pen.imageSmoothingEnabled = true;
    if (values) pen.drawImage(shaded(values, blue, red), 0, 0, SIZE, SIZE);
    const { low, high } = place ?? EMPTY;
    const at = (value, axis) => ((value - low[axis]) / (high[axis] - low[axis])) * SIZE;
    for (const [radius, color] of [
      [0.5, blue],
      [1, red],
    ]) {
      pen.beginPath();
      pen.ellipse(
        at(0, 0),
        SIZE - at(0, 1),
        at(radius, 0) - at(0, 0),
        at(radius, 1) - at(0, 1),
        0,
        0,
        2 * Math.PI,
      );
      pen.strokeStyle = color;
      pen.lineWidth = 5;
      pen.setLineDash([2, 7]);
      pen.lineCap = "round";
      pen.stroke();
    }
    pen.setLineDash([]);
    pen.strokeStyle = quiet;
    pen.lineWidth = 1;
    pen.strokeRect(0.5, 0.5, SIZE - 1, SIZE - 1);
  }
}

/** One pixel per number: one colour for class 0, another for class 1, stronger for greater certainty. */
function shaded(values, zero, one) {
  const count = values.length;
  const small = new OffscreenCanvas(count, count);
  const pen = small.getContext("2d");
  const picture = pen.createImageData(count, count);
  const colors = [zero, one].map((text) => [1, 3, 5].map((from) => Number.parseInt(text.slice(from, from + 2), 16)));
  for (const [row, line] of values.entries()) {
    for (const [column, value] of line.entries()) {
      const place = 4 * ((count - 1 - row) * count + column);
      const probability = Number(value);
      picture.data.set(colors[probability > 0.5 ? 1 : 0], place);
      picture.data[place + 3] = 235 * Math.min(0.62, Math.abs(probability - 0.5) * 1.1 + 0.06);
    }
  }
  pen.putImageData(picture, 0, 0);
  return small;
}
