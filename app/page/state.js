// What is on the screen, as one object and as an address. A link holds the view it shows and nothing else.

import { number } from "./numbers.js";
import { language } from "./words.js";

export const VIEWS = ["learn", "explore", "compare", "flow", "phase"];

/** Longest list of numbers that an address takes. */
export const LONGEST = 1000;

export const state = {
  view: VIEWS[0],
  learn: { scene: "", value: "" },
  explore: { functions: [], focus: 0, x: 1, low: -6, high: 6, numbers: "" },
  compare: { sort: "", descending: false, text: "", only: [] },
  flow: {
    activation: null,
    depth: "50",
    width: "512",
    init: "",
    sigma_w: "1",
    sigma_b: "0",
    normalization: "",
    residual: "",
    networks: "8",
    seed: "0",
    change: null,
  },
  phase: { activation: null, sigma_w: "3", sigma_b: "1" },
};

/** A function with parameters, as an address has it: `leaky(slope~0.1)`. */
export function written({ name, params }) {
  return (
    name +
    Object.entries(params)
      .map(([key, value]) => `(${key}~${value})`)
      .join("")
  );
}

function chosen(text) {
  const [name, ...rest] = text.split(/[()]+/).filter(Boolean);
  const params = {};
  for (const pair of rest) {
    const [key, value] = pair.split("~");
    if (key && number(value ?? "") !== undefined) params[key] = number(value);
  }
  return { name: name ?? "", params };
}

const FIELDS = {
  learn: {
    write: ({ value }) => [
      ["lang", language],
      ["v", value],
    ],
    read: (query) => ({ value: query.get("v") ?? "" }),
  },
  explore: {
    write: ({ functions, focus, x, low, high, numbers }) => [
      ...functions.map((each) => ["f", written(each)]),
      ["focus", focus || ""],
      ["x", x],
      ["from", low],
      ["to", high],
      ["numbers", numbers.length > LONGEST ? "" : numbers],
    ],
    read: (query) => ({
      functions: query.getAll("f").map(chosen),
      focus: finite(query.get("focus"), 0),
      x: finite(query.get("x"), 1),
      low: finite(query.get("from"), -6),
      high: finite(query.get("to"), 6),
      ...(query.has("numbers") && { numbers: query.get("numbers") }), // too many for an address may be here still
    }),
  },
  compare: {
    write: ({ sort, descending, text, only }) => [
      ["sort", sort],
      ["descending", descending ? 1 : ""],
      ["text", text],
      ...only.map((each) => ["only", each]),
    ],
    read: (query) => ({
      sort: query.get("sort") ?? "",
      descending: query.has("descending"),
      text: query.get("text") ?? "",
      only: query.getAll("only"),
    }),
  },
  flow: {
    write: ({ activation, change, ...rest }) => [
      ["activation", activation ? written(activation) : ""],
      ...Object.entries(rest),
      ["change", change ? JSON.stringify(change) : ""],
    ],
    read: (query) => ({ ...plainly(query, state.flow), change: object(query.get("change")) }),
  },
  phase: {
    write: ({ activation, ...rest }) => [
      ["activation", activation ? written(activation) : ""],
      ...Object.entries(rest),
    ],
    read: (query) => plainly(query, state.phase),
  },
};

function plainly(query, fields) {
  const read = {};
  for (const key of Object.keys(fields)) if (query.has(key)) read[key] = query.get(key);
  if (read.activation !== undefined) read.activation = chosen(read.activation);
  return read;
}

function finite(text, otherwise) {
  const value = number(text ?? "");
  return Number.isFinite(value) ? value : otherwise;
}

function object(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The address of a view. */
export function address(view = state.view, fields = state[view]) {
  const pairs = FIELDS[view].write(fields).filter(([, value]) => value !== "" && value != null);
  const query = pairs.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
  return `#/${view}${fields.scene ? `/${fields.scene}` : ""}${query && "?"}${query}`;
}

/** Takes over what the address says. */
export function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, scene] = path.split("/");
  state.view = VIEWS.includes(view) ? view : VIEWS[0];
  if (scene !== undefined) Object.assign(state.learn, { scene, value: "" });
  if (query)
    Object.assign(
      state[state.view],
      FIELDS[state.view].read(new URLSearchParams(query.replaceAll("+", "%2B"))),
    );
}

let timer = 0;

/** Writes what is on the screen into the address, at most a few times a second: browsers allow no more. */
export function remember() {
  clearTimeout(timer);
  timer = setTimeout(write, 150);
}

/** Writes what waits to be written: the next address is another view's. */
export function settle() {
  if (timer) write();
}

function write() {
  clearTimeout(timer);
  timer = 0;
  history.replaceState(null, "", address());
}

/** Opens a view with its state changed. */
export function open(view, change = {}) {
  settle();
  Object.assign(state[view], change);
  location.hash = address(view);
}
