// Swagger UI in the page's colours, with corrections for screen readers.

const dark = matchMedia("(prefers-color-scheme: dark)");

function paint() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

dark.addEventListener("change", paint);
paint();

const main = document.querySelector("main");

/** Section headings get the level below the page's, whatever their tag. */
function heading(element) {
  element.setAttribute("role", "heading");
  element.setAttribute("aria-level", "2");
}

/** A link inside a button would be a second control at the same place. */
function unlink(element) {
  element.removeAttribute("href");
}

const MENDS = {
  "h3.opblock-tag": heading,
  "section.models h4": heading,
  "button a[href]": unlink,
  "h4.opblock-title, .opblock-section-header h4": (each) => each.setAttribute("aria-level", "3"),
  ".responses-inner h4, .responses-inner h5": (each) => each.setAttribute("aria-level", "3"),
  'select:not([aria-label]), select[aria-label=""]': (each) =>
    each.setAttribute("aria-label", each.closest("[data-param-name]")?.dataset.paramName || each.id || "Choice"),
  "textarea:not([aria-label])": (each) => each.setAttribute("aria-label", "Request body"),
  "input:not([aria-label], [id])": (each) => each.setAttribute("aria-label", each.placeholder || "value"),
  ".highlight-code > pre, .microlight": (each) => each.setAttribute("tabindex", "0"),
};

/** Texts are shown as they are: Swagger UI would wrap a picture in XML, and fail, and put a stream into quotes. */
const texts = {
  afterLoad({ fn: { jsonSchema202012: samples } }) {
    const json = samples.getJsonSampleSchema;
    samples.getXmlSampleSchema = (_schema, _config, sample) => sample;
    samples.getJsonSampleSchema = (...given) => (typeof given[3] === "string" ? given[3] : json(...given));
  },
};

function mend() {
  for (const [selector, change] of Object.entries(MENDS))
    for (const each of main.querySelectorAll(selector)) change(each);
}

new MutationObserver(mend).observe(main, { childList: true, subtree: true });

addEventListener("DOMContentLoaded", () => {
  const { SwaggerUIBundle } = window;
  SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    plugins: [texts],
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
    layout: "BaseLayout",
    deepLinking: true,
    showExtensions: true,
    showCommonExtensions: true,
    tryItOutEnabled: true,
    defaultModelsExpandDepth: 0,
  });
});
