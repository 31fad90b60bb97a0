// The browser's storage. In another site's frame access may be forbidden: then values are kept while the page is
// open.

/** @param {"localStorage" | "sessionStorage"} name */
function area(name) {
  try {
    return window[name];
  } catch {
    const kept = new Map();
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
      removeItem: (key) => kept.delete(key),
    };
  }
}

export const local = area("localStorage");
export const session = area("sessionStorage");
