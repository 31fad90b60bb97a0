// A training by the service as a film, which can be played as soon as the first frame arrives.

import { follow } from "../api.js";
import { latest } from "../dom.js";
import { w } from "./words.js";

const REST = 80; // milliseconds without movement of a control before the service is asked

/** A small training on two rings, changed by `more`. */
export const small = (activations, learning_rate, more = {}) => ({
  activations,
  data: { kind: "rings" },
  hidden: [8, 8],
  init: "he_normal",
  optimizer: { kind: "sgd", learning_rate },
  steps: 300,
  runs: 1,
  frames: 50,
  ...more,
});

/** @implements {import("./frame.js").Film} */
export class Training {
  /** The service's messages: the start, the frames so far, and the result once it is there. */
  start = null;
  frames = [];
  result = null;
  at = 0;
  hold = false;
  #tools;
  #draw;
  #stopping = new AbortController();
  #waiting = false;

  /** @param {import("./frame.js").Tools} tools @param {() => Promise<void>} draw  draws the stage at `at` */
  constructor(tools, draw) {
    this.#tools = tools;
    this.#draw = latest(async () => {
      await draw();
      this.#tell();
    });
    tools.signal.addEventListener("abort", () => this.#stopping.abort());
  }

  get length() {
    return this.frames.length;
  }

  get done() {
    return this.result !== null;
  }

  /**
   * A scene whose film depends on its control: `body` makes the request from the control's value.
   * @returns {import("./frame.js").Running}
   */
  scene(body) {
    return {
      film: this,
      show: (value) => {
        this.run(body(value));
        return this.redraw();
      },
      redraw: () => this.redraw(),
    };
  }

  /** The frame that is shown, or undefined. */
  get frame() {
    return this.frames[this.at];
  }

  go(index) {
    this.at = Math.max(0, index);
    return this.#draw();
  }

  redraw() {
    return this.#draw();
  }

  /**
   * Trains. The first film stays at its first frame; after a change of the control, frames are shown as they arrive.
   * The former picture stays until there is a new one.
   */
  async run(body) {
    const live = this.start !== null && !this.hold;
    this.hold = false;
    this.#stopping.abort();
    const turn = new AbortController();
    this.#stopping = turn;
    this.#waiting = true;
    this.#tools.call({ path: "/training", body });
    this.#tell();
    try {
      if (live) await new Promise((rested) => setTimeout(rested, REST));
      if (turn.signal.aborted) return;
      const progress = (line) => turn === this.#stopping && this.#take(line, live);
      const result = await follow("/training", body, { signal: turn.signal, progress });
      if (turn !== this.#stopping) return;
      this.result = result;
      this.#tools.fail(null);
    } catch (error) {
      if (turn === this.#stopping) this.#tools.fail(error, () => this.run(body));
    }
    if (turn !== this.#stopping) return;
    this.#waiting = false;
    await this.#draw();
  }

  #take(line, live) {
    if (line.type === "start") {
      Object.assign(this, { start: line, frames: [], result: null, at: 0 });
      this.#waiting = false;
      return;
    }
    this.frames.push(line);
    if (live) this.at = this.frames.length - 1;
    if (live || this.frames.length === 1) this.#draw();
  }

  /** Shows the progress. */
  #tell() {
    const { frame, start, done } = this;
    const far = w("steps", { step: frame?.step ?? 0, all: start?.steps ?? 0 });
    this.#tools.tell(this.#waiting || !start ? w("training") : done ? far : `${far} …`);
  }
}
