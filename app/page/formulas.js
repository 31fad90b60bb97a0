// Functions given by formulas: names, parameters and cards.

import { facts, Failure, post } from "./api.js";

const PREFIX = "formula:";

/** The most parameters of a formula. */
const MOST = 20;

/** The initial value of a formula's parameter, and the ends of its slider. */
const [USUAL, LOW, HIGH] = [1, -3, 3];

/** Whether a function is a formula, by its name. */
export const isFormula = (name) => name.startsWith(PREFIX);

/** The function's name for a typed formula. */
export const nameOf = (text) => PREFIX + text.trim().replace(/^formula:\s*/, "");

/** The formula as it was typed. */
export const textOf = (name) => name.slice(PREFIX.length);

/** The catalogue's entry of each function by name, formulas included. */
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

/** The formula's parameters with initial values. */
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

/** Names in a formula that look like parameters: neither functions nor named arguments. */
function likely(text) {
  const words = text.match(/(?<![\w.])[A-Za-z_]\w*\b(?!\s*(\(|=(?!=)))/g) ?? [];
  return [...new Set(words)].filter((each) => !WORDS.has(each));
}

/** Words of the formula language that may occur where a parameter may. */
const WORDS = new Set(["x", "pi", "inf", "if", "else", "and", "or", "not"]);

/** The same from the service, whose errors give the column of the next one. */
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

/** The parameter without a value, if that is the error. */
function nameless({ places, details }, text) {
  const [, column] = /column (\d+)/.exec(details[0] ?? "") ?? [];
  if (!column || places[0]?.[1] !== "params") return null;
  return /^[A-Za-z_]\w*/.exec(text.slice(column - 1))?.[0] ?? null;
}

/** The difference of two functions as a formula; null if one cannot be used in formulas. */
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
