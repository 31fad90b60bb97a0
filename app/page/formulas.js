// Functions by formula: what the page knows of them before it asks, and their card.

import { facts, Failure, post } from "./api.js";

const PREFIX = "formula:";

/** Most names that a formula may have beside x. */
const MOST = 20;

/** A formula's first value of a parameter, and where its slider ends. */
const [USUAL, LOW, HIGH] = [1, -3, 3];

/** Whether a function is a formula, by its name. */
export const isFormula = (name) => name.startsWith(PREFIX);

/** The name of a formula as somebody types it. */
export const nameOf = (text) => PREFIX + text.trim().replace(/^formula:\s*/, "");

/** The formula as it was typed. */
export const textOf = (name) => name.slice(PREFIX.length);

/** What the catalogue says of each function by its name, formulas included. */
export function known(functions) {
  const byName = new Map(functions.map((each) => [each.name, each]));
  return {
    has: (name) => isFormula(name) || byName.has(name),
    get: (name) => (isFormula(name) ? line(name) : byName.get(name)),
  };
}

const line = (name) => ({ name, title: twice(textOf(name)), kind: "elementwise" });

const twice = (text) => ({ en: text, ko: text });

/** All facts about a function with these parameters. */
export async function described({ name, params }) {
  if (!isFormula(name)) return facts(name);
  const given = await post("/functions/describe", { function: name, params });
  return { ...line(name), ...given, definitions: {}, references: [], frameworks: [], parameters: parameters(given) };
}

function parameters({ parameters: names }) {
  return names.map((name) => ({
    name,
    symbol: name,
    description: twice(name),
    default: USUAL,
    required: true,
    typical: [LOW, HIGH],
    shape: null,
  }));
}

/** The formula's parameters with a first value each. */
export async function firstValues(name) {
  const params = Object.fromEntries(likely(textOf(name)).map((each) => [each, USUAL]));
  if (!Object.keys(params).length) return asked(name);
  try {
    await post("/functions/describe", { function: name, params });
    return params;
  } catch {
    return asked(name);
  }
}

/** Names in a formula that look like parameters: no function's and no argument's. */
function likely(text) {
  const words = text.match(/(?<![\w.])[A-Za-z_]\w*\b(?!\s*(\(|=(?!=)))/g) ?? [];
  return [...new Set(words)].filter((each) => !WORDS.has(each));
}

/** Words of the language of formulas that may stand where a parameter does. */
const WORDS = new Set(["x", "pi", "inf", "if", "else", "and", "or", "not"]);

/** The same, asked for: the service says in which column the next one stands. */
async function asked(name) {
  const params = {};
  for (let tries = 0; tries <= MOST; tries += 1) {
    try {
      await post("/functions/describe", { function: name, params });
      return params;
    } catch (error) {
      const missing = error instanceof Failure ? nameless(error, textOf(name)) : null;
      if (!missing || missing in params) throw error;
      params[missing] = USUAL;
    }
  }
  throw new Failure("refused");
}

/** The name in the formula that has no value yet, if that is what is wrong. */
function nameless({ places, details }, text) {
  const [, column] = /column (\d+)/.exec(details[0] ?? "") ?? [];
  if (!column || places[0]?.[1] !== "params") return null;
  return /^[A-Za-z_]\w*/.exec(text.slice(column - 1))?.[0] ?? null;
}

/** The difference of two functions as a formula; null where the service has no word for one. */
export function difference(one, two) {
  const shared = Object.keys(one.params).some(
    (key) => isFormula(one.name) && isFormula(two.name) && key in two.params && two.params[key] !== one.params[key],
  );
  if (shared) return null;
  const params = {};
  const parts = [one, two].map(({ name, params: given }) => {
    if (!isFormula(name)) return called(name, given);
    Object.assign(params, given);
    return `(${textOf(name)})`;
  });
  return { name: nameOf(`${parts[0]} - ${parts[1]}`), params };
}

function called(name, params) {
  const given = Object.entries(params).map(([key, value]) => `, ${key}=${value}`);
  return `${name}(x${given.join("")})`;
}
