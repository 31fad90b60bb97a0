// The frame around every scene: claim, prediction, stage, control, readings, and the table behind them.

import { address } from "../api.js";
import { callBox } from "../calls.js";
import { watch } from "../chart.js";
import { problem } from "../controls.js";
import { h, latest } from "../dom.js";
import { plain, shown } from "../numbers.js";
import { remember } from "../state.js";
import { language } from "../words.js";
import { w } from "./words.js";

/**
 * A scene, as its file exports it.
 * @typedef {object} Scene
 * @property {string[]} options  the possible predictions
 * @property {string} right  the right one of them
 * @property {Range | Choice} control
 * @property {(tools: Tools) => Promise<Running>} open
 *
 * @typedef {{ low: number, high: number, step: number, value: number, unit?: string, seconds?: number }} Range
 * @typedef {{ choices: string[], value: string }} Choice
 *
 * What the frame offers a scene.
 * @typedef {object} Tools
 * @property {HTMLElement} stage  the element in which it draws
 * @property {(key: string, values?: object) => string} say  its texts
 * @property {(pairs: [string, number | string, number?, string?][]) => void} read  shows the readings: name,
 *   value, number of digits, and a text in place of the digits where these do not suffice
 * @property {(head: string[], rows: (string | number | null)[][]) => void} table  the table, which a click opens
 * @property {(call: { path: string, body?: object }) => void} call  the request behind the numbers
 * @property {(error: Error, again?: () => void) => void} fail  shows an error, or removes it
 * @property {(text: string) => void} tell  shows what is being computed
 * @property {(value: number) => void} move  moves the control, as if the reader had
 * @property {AbortSignal} signal  aborted when the scene ends
 *
 * A scene that has been opened.
 * @typedef {object} Running
 * @property {(value: number | string) => void | Promise<void>} show  draws the stage for this value of the control
 * @property {Film} [film]  what Play plays; without a film it moves the control
 * @property {() => void} [reset]  undoes what was dragged, apart from the control
 * @property {() => void | Promise<void>} [redraw]  called for another width or theme
 *
 * A sequence of pictures.
 * @typedef {object} Film
 * @property {number} length  the number of pictures so far
 * @property {number} at  the index of the one that is shown
 * @property {boolean} done  whether the film is complete
 * @property {boolean} [hold]  whether it stays at its beginning at the next change of the control
 * @property {(index: number) => void | Promise<void>} go
 */

const FRAME = 70; // milliseconds from one picture of a film to the next
const SECONDS = 8; // for moving a control from end to end
const LEAPS = 8; // pictures shown to readers who prefer reduced motion

const still = matchMedia("(prefers-reduced-motion: reduce)");

const guesses = new Map(); // predictions, kept while the page is open

/** Fills `article` with the scene; returns a function that ends it. */
export async function frame(article, scene, own) {
  const { id, control } = scene;
  const say = (key, values) => w(`${id}.${key}`, values);
  const leaving = new AbortController();
  const stage = h("div", { class: "stage" });
  const status = h("p", { class: "quiet telling", role: "status" });
  const message = h("div");
  const readings = h("dl", { class: "strip readings" });
  const figures = h("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": w("figures") });
  const calls = callBox();
  const board = h("div", {
    class: "board",
    tabindex: 0,
    role: "group",
    "aria-label": w("stage", { name: say("name") }),
    "aria-keyshortcuts": "Space ArrowRight ArrowLeft Home End",
    onkeydown: pressed,
  });
  board.append(stage, message);
  const knob = "choices" in control ? choicePart(control, say, set) : rangePart(control, say, set);
  const players = playPart();
  let running = null;
  let retried = null; // ends the frame that replaced this one after a failure
  let value = knob.read(own.value);
  knob.write(value);

  article.replaceChildren(
    h("header", { class: "claim" }, h("h1", {}, say("name")), h("p", { class: "summary" }, say("claim"))),
    predictionPart(scene, say),
    h(
      "div",
      { class: "right" },
      board,
      h("div", { class: "row controls" }, knob.element, players.element),
      status,
      readings,
    ),
    h(
      "details",
      { class: "behind" },
      h("summary", {}, w("behind")),
      h("p", { class: "quiet" }, say("source")),
      figures,
      calls.element,
      linkPart(id),
    ),
  );

  /** @type {Tools} */
  const tools = {
    stage,
    say,
    read: (pairs) => readings.replaceChildren(...pairs.map(([key, ...rest]) => reading(say, key, ...rest))),
    table: (head, rows) => figures.replaceChildren(tableOf(head, rows)),
    call: calls.show,
    fail: (error, again) => {
      if (error?.kind === "cancelled") return;
      const retry = () => {
        message.replaceChildren(); // a retry has not failed yet
        return again();
      };
      message.replaceChildren(...(error ? [problem(error, again && retry)] : []));
    },
    tell: (text) => (status.textContent = text),
    move: (next) => {
      knob.write(next);
      set(next);
    },
    signal: leaving.signal,
  };

  const redraw = () => {
    tools.fail(null);
    return (running?.redraw ?? show)();
  };
  stage.addEventListener("unpainted", ({ detail }) => tools.fail(detail, redraw));
  const show = latest(async () => {
    try {
      await running.show(value);
    } catch (error) {
      tools.fail(error, show);
    }
  });
  try {
    running = await scene.open(tools);
    await show();
  } catch (error) {
    tools.fail(error, async () => {
      end();
      retried = await frame(article, scene, own);
    });
  }
  const unwatch = watch(stage, () => running && (running.redraw ?? show)());
  return () => (retried ?? end)();

  function end() {
    leaving.abort();
    unwatch();
    players.stop();
  }

  function set(next) {
    value = next;
    own.value = next === control.value ? "" : String(next);
    remember();
    return running && show();
  }

  /** @param {KeyboardEvent} event */
  function pressed(event) {
    if (event.target !== board || event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      " ": players.toggle,
      ArrowRight: () => players.step(1),
      ArrowLeft: () => players.step(-1),
      Home: players.reset,
      End: players.end,
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  function playPart() {
    let playing = null;
    const play = h("button", { type: "button", onclick: toggle }, w("play"));
    const button = (words, act) =>
      h("button", { type: "button", class: "plain", onclick: act }, w(words));
    const element = h(
      "div",
      { class: "row players", role: "group", "aria-label": w("players") },
      play,
      button("step", () => step(1)),
      button("reset", reset),
    );
    const arrange = () => (play.hidden = still.matches);
    still.addEventListener("change", arrange, { signal: leaving.signal });
    arrange();
    return { element, toggle, step, reset, end, stop };

    function toggle() {
      return playing ? stop() : start();
    }

    function stop() {
      playing?.abort();
      playing = null;
      play.textContent = w("play");
    }

    async function start() {
      if (!running || still.matches) return;
      const turn = new AbortController();
      playing = turn;
      play.textContent = w("pause");
      try {
        await (running.film ? roll(running.film, turn.signal) : sweep(turn.signal));
      } catch (error) {
        tools.fail(error);
      }
      if (playing === turn) stop();
    }

    async function roll(film, signal) {
      if (film.done && film.at >= film.length - 1) await film.go(0);
      while (!signal.aborted && !(film.done && film.at >= film.length - 1)) {
        if (film.at < film.length - 1) await film.go(film.at + 1);
        await pause(FRAME);
      }
    }

    async function sweep(signal) {
      if (knob.last(value)) await turn(knob.first);
      for (const next of knob.way(value)) {
        const rest = pause(knob.pace);
        await turn(next);
        await rest;
        if (signal.aborted) return;
      }
    }

    function turn(next) {
      knob.write(next);
      return set(next);
    }

    function step(direction) {
      stop();
      const film = running?.film;
      if (!film) return turn(knob.near(value, direction));
      const leap = still.matches ? Math.ceil(film.length / LEAPS) : 1;
      return film.go(Math.max(0, Math.min(film.length - 1, film.at + direction * leap)));
    }

    function reset() {
      stop();
      const film = running?.film;
      if (value !== control.value || running?.reset) {
        if (film) film.hold = true;
        running?.reset?.();
        turn(control.value);
      }
      return film?.go(0);
    }

    function end() {
      stop();
      return running?.film ? running.film.go(running.film.length - 1) : turn(knob.end);
    }
  }
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function predictionPart({ id, options, right }, say) {
  const answer = h("div", { class: "answer", "aria-live": "polite" });
  const buttons = options.map((each) =>
    h(
      "button",
      { type: "button", class: "option", "aria-pressed": "false", onclick: () => guess(each) },
      say(each),
    ),
  );
  const tell = h("button", { type: "button", class: "plain", onclick: () => guess("") }, w("skip"));
  if (guesses.has(id)) guess(guesses.get(id));
  return h(
    "section",
    { class: "prediction", "aria-label": w("prediction") },
    h("h2", {}, w("prediction")),
    h("p", {}, say("question")),
    h("div", { class: "options" }, buttons, tell),
    answer,
  );

  function guess(chosen) {
    guesses.set(id, chosen);
    tell.hidden = true;
    for (const [index, each] of options.entries())
      buttons[index].setAttribute("aria-pressed", String(each === chosen));
    const verdict = chosen && w(chosen === right ? "rightPrediction" : "wrongPrediction");
    answer.replaceChildren(
      h("p", {}, verdict && h("strong", { class: chosen === right ? "yes" : "no" }, verdict), " ", say("answer")),
      h("p", { class: "quiet exception" }, h("strong", {}, w("exception")), " ", say("exception")),
    );
  }
}

/** A reading, with all its digits as a tooltip. */
function reading(say, key, value, digits = 5, text = "") {
  const number = typeof value === "number";
  return h(
    "div",
    {},
    h("dt", {}, say(`r.${key}`)),
    h(
      "dd",
      {},
      h(
        "data",
        { "data-reading": key, value: number ? plain(value) : value, title: number && plain(value) },
        text || (number ? shown(value, digits) : value),
      ),
    ),
  );
}

function tableOf(head, rows) {
  const numeric = (column) => rows.some((row) => typeof row[column] === "number");
  return h(
    "table",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head.map((each, column) => h("th", { scope: "col", class: numeric(column) && "number" }, each)),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map((row) =>
        h(
          "tr",
          {},
          row.map((each) =>
            typeof each === "string"
              ? h("td", {}, each)
              : h("td", { class: "number", title: each != null && plain(each) }, shown(each, 6)),
          ),
        ),
      ),
    ),
  );
}

/** The scene's URL, and the HTML that embeds it in another page. */
function linkPart(id) {
  const at = address("/");
  const fragment = `#/learn/${id}?lang=${language}`;
  const source = `<iframe src="${at}?embed=1${fragment}" title="${w(`${id}.name`)}" width="100%" height="760"></iframe>`;
  return h(
    "section",
    { class: "share" },
    h("h2", {}, w("share")),
    h("p", {}, h("a", { href: at + fragment, target: "_blank", rel: "noopener" }, at + fragment)),
    h("p", { class: "quiet" }, w("embed")),
    h("pre", { tabindex: 0 }, h("code", {}, source)),
  );
}

/** @param {Range} control */
function rangePart({ low, high, step, value: usual, unit = "", seconds = SECONDS }, say, changed) {
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const round = (value) => Number(Math.max(low, Math.min(high, value)).toFixed(digits));
  const output = h("output", {});
  const range = h("input", {
    type: "range",
    min: low,
    max: high,
    step,
    "aria-label": say("control"),
    oninput: () => {
      tell(Number(range.value));
      changed(Number(range.value));
    },
  });
  const tell = (value) => {
    output.textContent = `${shown(value, 6)}${unit}`;
    range.setAttribute("aria-valuetext", output.textContent);
  };
  const count = Math.round((high - low) / step);
  const pictures = Math.min(count, Math.round((1000 * seconds) / FRAME));
  return {
    element: h("label", { class: "knob" }, h("span", {}, say("control")), range, output),
    read: (text) => (text !== "" && Number.isFinite(Number(text)) ? round(Number(text)) : usual),
    write(value) {
      range.value = value;
      tell(value);
    },
    first: low,
    end: high,
    last: (value) => value >= high,
    near: (value, direction) => round(value + direction * step * Math.max(1, Math.round(count / 40))),
    *way(value) {
      const start = Math.floor(((value - low) / (high - low)) * pictures);
      for (let index = start + 1; index <= pictures; index += 1)
        yield round(low + step * Math.round((index / pictures) * count));
    },
    pace: (1000 * seconds) / pictures,
  };
}

/** @param {Choice} control */
function choicePart({ choices, value: usual }, say, changed) {
  const buttons = choices.map((each) =>
    h("button", { type: "button", onclick: () => choose(each) }, say(`c.${each}`)),
  );
  const write = (value) => {
    for (const [index, each] of choices.entries())
      buttons[index].setAttribute("aria-pressed", String(each === value));
  };
  function choose(value) {
    write(value);
    changed(value);
  }
  const place = (value) => choices.indexOf(value);
  return {
    element: h(
      "div",
      { class: "knob" },
      h("span", {}, say("control")),
      h("div", { class: "segments", role: "group", "aria-label": say("control") }, buttons),
    ),
    read: (text) => (choices.includes(text) ? text : usual),
    write,
    first: choices[0],
    end: choices.at(-1),
    last: (value) => place(value) === choices.length - 1,
    near: (value, direction) =>
      choices[Math.max(0, Math.min(choices.length - 1, place(value) + direction))],
    way: (value) => choices.slice(place(value) + 1),
    pace: 1200,
  };
}
