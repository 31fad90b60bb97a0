// The page's language: the address's, else the reader's choice, else the browser's.

import { local, session } from "./storage.js";

const LANGUAGES = ["en", "ko"];

export const language = asked() ?? session.getItem("language") ?? local.getItem("language") ?? preferred();

if (asked()) session.setItem("language", language); // the addresses of other views do not name it

const table = (await import(`./${language}.js`)).default;

/** The language that the address names: `#/learn/zigzag?lang=ko`. */
function asked() {
  const named = new URLSearchParams(location.hash.split("?")[1]).get("lang");
  return LANGUAGES.includes(named) ? named : null;
}

addEventListener("hashchange", () => {
  if (asked() && asked() !== language) location.reload();
});

function preferred() {
  const short = navigator.languages.map((each) => each.slice(0, 2));
  return short.find((each) => LANGUAGES.includes(each)) ?? "en";
}

/** The other language's code. */
export const other = LANGUAGES.find((each) => each !== language);

/** Remembers the reader's choice and opens the same address in it. */
export function choose(code) {
  local.setItem("language", code);
  session.removeItem("language");
  history.replaceState(null, "", location.hash.replace(/([?&]lang=)\w+/, `$1${code}`));
  location.reload();
}

/** The page's text for `key`, with `{name}` replaced by `values.name`. */
export function t(key, values = {}) {
  const text = table[key];
  if (text === undefined) throw new Error(`no words for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Whether there is a text for `key`. */
export const has = (key) => key in table;

/** A name from the service, such as an initialisation's, in words if the page has any. */
export const spoken = (kind, name) => (has(`${kind}.${name}`) ? t(`${kind}.${name}`) : name);

/** The service's text in the page's language. */
export const said = (texts) => texts[language];
