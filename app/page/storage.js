// What the browser keeps for the page. In another site's frame it may keep nothing and refuse to be asked: then
// things are kept as long as the page is open.

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
