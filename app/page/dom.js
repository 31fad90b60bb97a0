const MATH = new DOMParser();

/**
 * An element with attributes, listeners (`onclick`) and children. False and null attributes and children are
 * left out.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  element.append(
    ...children
      .flat(2)
      .filter((child) => child != null && child !== false)
      .flatMap(tag === "option" ? String : set),
  );
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  return element;
}

/** Text with the indices of σ_w and σ_b, and powers of ten as 10^-3.2, set as such. */
function set(child) {
  if (typeof child !== "string" || !/σ_|10\^/.test(child)) return child;
  const parts = child.split(/(?<=σ)(_\w)|(?<=10)(\^[-−]?[\d.]*\d)/).filter(Boolean);
  return parts.map((part) => {
    if (/^_\w$/.test(part)) return h("sub", {}, part.slice(1));
    return /^\^[-−\d]/.test(part) ? h("sup", {}, part.slice(1).replace("-", "−")) : part;
  });
}

const LONG = 9; // characters beyond which a number is shortened, with all digits as a tooltip

/** A formula as a MathML element; `block` sets it large, on a line of its own. */
export function math(markup, { block = false } = {}) {
  const node = document.importNode(MATH.parseFromString(markup, "application/xml").documentElement, true);
  if (block) node.setAttribute("display", "block");
  for (const each of node.querySelectorAll("mn")) {
    if (each.textContent.length <= LONG) continue;
    each.setAttribute("title", each.textContent);
    each.textContent = `${Number(each.textContent).toPrecision(5)}…`;
  }
  return node;
}

/** Milliseconds without movement after which the service is asked. */
const REST = 150;

/** Runs `work` for the last of several calls, after a pause without calls; `stop` cancels a pending one. */
export function rested(work) {
  let timer = 0;
  const stop = () => clearTimeout(timer);
  const wait = (...args) => {
    stop();
    timer = setTimeout(() => work(...args), REST);
  };
  return Object.assign(wait, { stop });
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
