// The state of the page, as an object and as an address. A link contains the complete state of its view: whatever it
// does not mention is as in a new tab.

import { number } from "./numbers.js";
import { language } from "./words.js";

export const VIEWS = ["learn", "explore", "compare", "flow", "train", "phase", "verify"];

/** The longest list of numbers in an address. */
export const LONGEST = 1000;

export const state = {
  view: VIEWS[0],
  learn: { scene: "", value: "" },
  explore: {
    functions: [],
    focus: 0,
    x: 1,
    low: -6,
    high: 6,
    whole: false,
    minus: false,
    numbers: "",
    lost: false,
  },
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
    block: null,
    dropout: "",
    dropout_kind: "",
    networks: "8",
    seed: "0",
    change: null,
    also: [],
  },
  train: {
    functions: [],
    kind: "rings",
    count: "",
    noise: "",
    classes: "",
    held_out: "",
    examples: "",
    hidden: "16, 16, 16",
    init: "fair",
    sigma_w: "1",
    sigma_b: "0",
    normalization: "",
    residual: "",
    loss: "logistic",
    optimizer: "sgd",
    learning_rate: "0.3",
    momentum: "",
    batch: "",
    steps: "300",
    runs: "4",
    seed: "0",
    frames: "50",
    boundary: "40",
    weights: "0 0 0; 0 0 1",
  },
  phase: { activation: null, sigma_w: "", sigma_b: "1" },
  verify: { activation: null, axis: "", dtype: "bfloat16", compute_dtype: "", subnormals: "keep", tolerance_ulp: "" },
};

const UNTOUCHED = structuredClone(state);

/** Marks numbers that are too many for an address: only this tab has them. */
const KEPT = "kept~";

/** The mark before parameters that are trained. */
const LEARN = "learn";

/** A function with parameters in an address: `leaky(slope~0.1)`, `formula:x*sigmoid(b*x)(b~2)`. */
export function written({ name, params, learn }) {
  const pairs = [...Object.entries(params), ...(learn ? [[LEARN, learn.join(" ")]] : [])];
  return name + pairs.map(([key, value]) => `(${key}~${value})`).join("");
}

const PARAMETER = /\(([^()~]+)~([^()~]*)\)$/;

function chosen(text) {
  const params = {};
  let name = text;
  let learn = null;
  for (let last = PARAMETER.exec(name); last; last = PARAMETER.exec(name)) {
    name = name.slice(0, last.index);
    if (last[1] === LEARN) learn = last[2].split(" ").filter(Boolean);
    else params[last[1]] = number(last[2]) ?? last[2];
  }
  return { name, params, ...(learn && { learn }) };
}

/** A short hash of a long text. */
function mark(text) {
  let sum = 0;
  for (let index = 0; index < text.length; index += 1) sum = (31 * sum + text.charCodeAt(index)) | 0;
  return `${KEPT}${(sum >>> 0).toString(36)}`;
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
    write: ({ functions, focus, x, low, high, whole, minus, numbers }) => [
      ...functions.map((each) => ["f", written(each)]),
      ["focus", focus || ""],
      ["x", x],
      ["from", low],
      ["to", high],
      ["whole", whole ? 1 : ""],
      ["minus", minus ? 1 : ""],
      ["numbers", numbers.length > LONGEST ? mark(numbers) : numbers],
    ],
    read: (query) => ({
      functions: query.getAll("f").map(chosen),
      focus: finite(query.get("focus"), 0),
      x: finite(query.get("x"), 1),
      low: finite(query.get("from"), -6),
      high: finite(query.get("to"), 6),
      whole: query.has("whole"),
      minus: query.has("minus"),
      ...numbersOf(query.get("numbers") ?? ""),
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
    write: ({ activation, block, change, also, ...rest }) => [
      ["activation", activation ? written(activation) : ""],
      ["block", block ? written(block) : ""],
      ...Object.entries(rest),
      ["change", change ? JSON.stringify(change) : ""],
      ...also.map((each) => ["also", JSON.stringify(each)]),
    ],
    read: (query) => ({
      ...plainly(query, state.flow),
      change: object(query.get("change")),
      also: query.getAll("also").map(object).filter(Boolean),
    }),
  },
  train: {
    write: ({ functions, examples, ...rest }) => [
      ...functions.map((each) => ["f", written(each)]),
      ...Object.entries(rest).filter(([key, value]) => value !== UNTOUCHED.train[key]),
      ["examples", examples.length > LONGEST ? "" : examples],
    ],
    read: (query) => ({ ...plainly(query, UNTOUCHED.train), functions: query.getAll("f").map(chosen) }),
  },
  phase: {
    write: ({ activation, ...rest }) => [
      ["activation", activation ? written(activation) : ""],
      ...Object.entries(rest),
    ],
    read: (query) => plainly(query, state.phase),
  },
  verify: {
    write: ({ activation, ...rest }) => [
      ["activation", activation ? written(activation) : ""],
      ...Object.entries(rest),
    ],
    read: (query) => plainly(query, state.verify),
  },
};

function numbersOf(said) {
  if (!said.startsWith(KEPT)) return { numbers: said, lost: false };
  const here = mark(state.explore.numbers) === said;
  return { numbers: here ? state.explore.numbers : "", lost: !here };
}

function plainly(query, fields) {
  const read = {};
  for (const key of Object.keys(fields)) if (query.has(key)) read[key] = query.get(key);
  for (const key of ["activation", "block"]) if (read[key] !== undefined) read[key] = chosen(read[key]);
  return read;
}

function finite(text, otherwise) {
  const value = number(text ?? "");
  return Number.isFinite(value) ? value : otherwise;
}

function object(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" ? value : null;
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

/** Sets the state from the address; the rest of its view is as in a new tab. */
export function read() {
  opened = location.hash;
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, scene] = path.split("/");
  state.view = VIEWS.includes(view) ? view : VIEWS[0];
  const said = FIELDS[state.view].read(new URLSearchParams(query.replaceAll("+", "%2B")));
  Object.assign(state[state.view], structuredClone(UNTOUCHED[state.view]), said, scene && { scene });
}

let timer = 0;

/** The address of the state. */
let opened = location.hash;

/** Writes the state to the address, at most a few times a second: browsers allow no more. */
export function remember() {
  clearTimeout(timer);
  timer = setTimeout(write, 150);
}

/** Writes a pending change, before another view's address replaces this one. */
export function settle() {
  if (timer) write();
}

function write() {
  clearTimeout(timer);
  timer = 0;
  if (location.hash !== opened) return; // another address has been opened, and will be read next
  history.replaceState(null, "", address());
  opened = location.hash;
}

/** Opens a view with its state changed. */
export function open(view, change = {}) {
  settle();
  Object.assign(state[view], change);
  location.hash = address(view);
}
