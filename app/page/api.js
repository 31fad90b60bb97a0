// The service's public interface, and what can go wrong with it.

import { session } from "./storage.js";

const KEY = "api-key";

/** A failed request: `kind` selects the page's message, `details` are the service's own. */
export class Failure extends Error {
  /** `places` are the fields of the request that the service refused. */
  constructor(kind, details = [], places = []) {
    super(kind);
    this.kind = kind;
    this.details = details;
    this.places = places;
  }
}

const BY_STATUS = {
  401: "key",
  403: "key",
  404: "unknown",
  413: "large",
  429: "busy",
  503: "busy",
  504: "late",
};

function failure(status, problem) {
  const listed = (problem.errors ?? []).map(({ loc, msg }) => `${loc.slice(1).join(".") || loc[0]}: ${msg}`);
  const details = listed.length ? listed : [problem.detail].filter(Boolean);
  const places = (problem.errors ?? []).map(({ loc }) => loc);
  if (problem.type?.endsWith("limit-exceeded")) return new Failure("limit", details, places);
  return new Failure(BY_STATUS[status] ?? (status >= 500 ? "server" : "refused"), details, places);
}

/** Whether the reader has given a key. */
export const hasKey = () => session.getItem(KEY) !== null;

/** Keeps the key for this tab. */
export const keep = (key) => session.setItem(KEY, key);

/** The answer to a request; throws `Failure`. */
export async function send(path, { body, headers = {}, signal } = {}) {
  const key = session.getItem(KEY);
  const all = { ...(key && { Authorization: `Bearer ${key}` }), ...headers };
  const response = await reached(path, { method: body ? "POST" : "GET", body, headers: all, signal });
  if (response.ok) return response;
  throw failure(response.status, await response.json().catch(() => ({})));
}

/** The full URL of a path of the service, which a proxy may serve below a prefix. */
export const address = (path) => new URL(path.slice(1), document.baseURI).href;

async function reached(path, options) {
  try {
    return await fetch(address(path), options);
  } catch (error) {
    throw new Failure(error.name === "AbortError" ? "cancelled" : "unreachable");
  }
}

/** A file of the page; loading it may fail like a request. */
export const arrived = (part) =>
  part.catch(() => {
    throw new Failure("unreachable");
  });

/** The answer to `GET path`. */
export async function get(path, options) {
  return (await send(path, options)).json();
}

/** The answer to `POST path` with `body`. With `files`, a form is sent, whose part `request` is the body. */
export async function post(path, body, { files = {}, ...options } = {}) {
  return (await send(path, carried(body, files, options))).json();
}

const carried = (body, files, options) =>
  Object.keys(files).length ? form(body, files, options) : json(body, options);

function form(body, files, options) {
  const parts = new FormData();
  parts.append("request", new Blob([JSON.stringify(body)], { type: "application/json" }));
  for (const [name, file] of Object.entries(files)) parts.append(name, file);
  return { ...options, body: parts };
}

function json(body, options = {}) {
  const headers = { "Content-Type": "application/json", ...options.headers };
  return { ...options, body: JSON.stringify(body), headers };
}

/** The result of `POST path`; earlier events are passed to `progress`. `files` as for `post`. */
export async function follow(path, body, { progress, signal, files = {} }) {
  const options = { headers: { Accept: "text/event-stream" }, signal };
  const response = await send(path, carried(body, files, options));
  let result = null;
  for await (const { event, data } of events(response)) {
    const wrong = event === "error" && (data.problem ?? data);
    if (wrong) throw failure(wrong.status, wrong);
    if (event === "result") result = data;
    else progress(data);
  }
  if (result === null) throw new Failure("cut");
  return result;
}

async function* events(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw new Failure(error.name === "AbortError" ? "cancelled" : "cut");
    });
    if (done) return;
    const whole = (text + decoder.decode(value, { stream: true })).split("\n\n");
    text = whole.pop();
    for (const block of whole) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      if (fields.data) yield { event: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

const kept = new Map();

function once(path) {
  if (!kept.has(path)) {
    kept.set(path, get(path));
    kept.get(path).catch(() => kept.delete(path));
  }
  return kept.get(path);
}

/** A summary of every function. */
export const catalogue = async () => (await once("/functions")).functions;

/** All facts about one function of the catalogue. */
export const facts = (name) => once(`/functions/${name}`);

/** The allowed values of a field of a request, such as `InitName`, from the OpenAPI document. */
export async function names(field) {
  return (await once("/openapi.json")).components.schemas[field].enum;
}
