const MATH = new DOMParser();

/**
 * An element with attributes, listeners (`onclick`) and children. False and null attributes and children are
 * left out.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  element.append(...children.flat(2).filter((child) => child != null && child !== false));
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  return element;
}

/** A formula as a MathML element; `block` sets it large, on a line of its own. */
export function math(markup, { block = false } = {}) {
  const node = document.importNode(MATH.parseFromString(markup, "application/xml").documentElement, true);
  if (block) node.setAttribute("display", "block");
  return node;
}

/** Runs `work` for the latest of the calls made while it was busy; those between are skipped. */
export function latest(work) {
  let busy = null;
  let waiting = null;
  async function drain() {
    while (waiting) {
      const args = waiting;
      waiting = null;
      await work(...args);
    }
    busy = null;
  }
  return (...args) => {
    waiting = args;
    busy ??= drain();
    return busy;
  };
}
