// The requests behind what is on the screen, to copy.

import { address, hasKey } from "./api.js";
import { h } from "./dom.js";
import { t } from "./words.js";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl({ path, body }) {
  const parts = [`curl -s ${quoted(address(path))}`];
  if (hasKey()) parts.push(`-H "Authorization: Bearer $API_KEY"`);
  if (body) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return parts.join(" \\\n  ");
}

function python({ path, body }) {
  const key = hasKey() ? ['headers={"Authorization": f"Bearer {os.environ[\'API_KEY\']}"}'] : [];
  const given = [JSON.stringify(address(path)), ...(body ? [`json=${literal(body)}`] : []), ...key];
  const imports = hasKey() ? "import os\n\nimport httpx" : "import httpx";
  const call = `httpx.${body ? "post" : "get"}(\n    ${given.join(",\n    ")},\n    timeout=60,\n)`;
  return `${imports}\n\nanswer = ${call}${path.includes(".svg") ? ".text" : ".json()"}`;
}

function literal(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, each]) => `${JSON.stringify(key)}: ${literal(each)}`)
    .join(", ")}}`;
}

const FORMS = { curl, Python: python };

/** Links to a picture in the forms that the service draws, for a README, a chat or a notebook. */
export function pictureLinks(path) {
  if (hasKey()) return []; // a link cannot contain the key
  const forms = { SVG: "svg", PNG: "png", "Vega-Lite": "vl.json" };
  const links = Object.entries(forms).map(([name, form]) =>
    h("a", { href: address(path.replace("vl.json", form)) }, name),
  );
  return [t("call.picture"), ...links].flatMap((each) => [each, " "]);
}

/** The URL of a picture of a request's answer. */
export function picturePath(name, body, look) {
  return `/plots/${name}.vl.json?${new URLSearchParams({ request: JSON.stringify(body), ...look })}`;
}

/** A box that shows one call in two languages, to copy. `show(call)` changes the call. */
export function callBox() {
  let call = null;
  let form = "curl";
  const code = h("code");
  const status = h("span", { class: "quiet", role: "status" });
  const tabs = Object.keys(FORMS).map((name) =>
    h("button", { type: "button", "aria-pressed": String(name === form), onclick: () => choose(name) }, name),
  );
  const copy = h("button", { type: "button", class: "plain", onclick: copied }, t("call.copy"));
  const element = h(
    "section",
    { class: "call" },
    h(
      "div",
      { class: "row" },
      h("h2", {}, t("call.title")),
      h("div", { class: "segments", role: "group", "aria-label": t("call.tabs") }, tabs),
      copy,
      status,
    ),
    h("pre", { tabindex: 0 }, code),
  );

  function choose(name) {
    form = name;
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.textContent === name));
    write();
  }

  function write() {
    code.textContent = call ? FORMS[form](call) : "";
    status.textContent = "";
  }

  async function copied() {
    try {
      await navigator.clipboard.writeText(code.textContent);
      status.textContent = t("call.copied");
    } catch {
      getSelection().selectAllChildren(code);
      status.textContent = t("call.manual");
    }
  }

  return {
    element,
    show(shown) {
      call = shown;
      write();
    },
  };
}
