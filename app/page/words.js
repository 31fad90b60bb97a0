// The page's language: the reader's choice, else the browser's.

const LANGUAGES = ["en", "ko"];

export const language = localStorage.getItem("language") ?? preferred();

const table = (await import(`./${language}.js`)).default;

function preferred() {
  const short = navigator.languages.map((each) => each.slice(0, 2));
  return short.find((each) => LANGUAGES.includes(each)) ?? "en";
}

/** The other language's code. */
export const other = LANGUAGES.find((each) => each !== language);

/** Remembers the reader's choice and opens the same address in it. */
export function choose(code) {
  localStorage.setItem("language", code);
  location.reload();
}

/** The page's words for `key`, with `{name}` replaced by `values.name`. */
export function t(key, values = {}) {
  const text = table[key];
  if (text === undefined) throw new Error(`no words for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Whether there are words for `key`. */
export const has = (key) => key in table;

/** A name of the service, an initialisation's for example, in words where the page has some. */
export const spoken = (kind, name) => (has(`${kind}.${name}`) ? t(`${kind}.${name}`) : name);

/** The service's text in the page's language. */
export const said = (texts) => texts[language];
