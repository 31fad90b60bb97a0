// The scenes' texts, in the page's language.

import { language } from "../words.js";

const table = (await import(`./${language}.js`)).default;

/** The scenes' text for `key`, with `{name}` replaced by `values.name`. */
export function w(key, values = {}) {
  const text = table[key];
  if (text === undefined) throw new Error(`no words for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
