// Numbers as people write them, in files, and in JSON.

import { Failure } from "./api.js";

/** The most numbers that the page accepts, as it has to show them. */
export const MOST = 100_000;

const WORDS = { nan: NaN, inf: Infinity, infinity: Infinity, "∞": Infinity };

/** The number in `text`, or undefined: `3e-4`, `−1`, `inf`, `NaN`. */
export function number(text) {
  const plain = text.trim().replace("−", "-").replace(/^\+/, "");
  const [sign, rest] = plain.startsWith("-") ? [-1, plain.slice(1)] : [1, plain];
  const word = WORDS[rest.toLowerCase()];
  if (word !== undefined) return sign * word;
  return /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(rest) ? sign * Number(rest) : undefined;
}

/**
 * Numbers in text: one line, or rows of equal length. A first line without a number is a heading. Throws `Failure`
 * with the number of the first line that cannot be read.
 */
export function parse(text) {
  const lines = text.split(/\r?\n/).map((line, index) => ({ line: index + 1, cells: cells(line) }));
  const filled = lines.filter(({ cells }) => cells.length);
  if (filled.length > 1 && filled[0].cells.every((cell) => number(cell) === undefined)) filled.shift();
  const rows = filled.map(({ line, cells }) => cells.map((cell) => number(cell) ?? unreadable(line)));
  if (rows.reduce((sum, row) => sum + row.length, 0) > MOST) throw new Failure("many");
  if (rows.length < 2 || rows.every((row) => row.length === 1)) return rows.flat();
  const ragged = rows.findIndex((row) => row.length !== rows[0].length);
  if (ragged > 0) throw new Failure("ragged", [String(filled[ragged].line)]);
  return rows;
}

/** The cells of a line. If they are separated by semicolons or tabs, a comma is a decimal mark: `1,5;2,5`. */
function cells(line) {
  const parts = line.split(/[;\t]/).map((each) => each.trim());
  const decimal = parts.length > 1 && parts.every((each) => !/[\s,]/.test(each.replace(DECIMAL, "")));
  if (decimal) return parts.filter(Boolean).map((each) => each.replace(DECIMAL, "$1.$2"));
  return line.split(/[\s,;]+/).filter(Boolean);
}

const DECIMAL = /^([+\-−]?\d+),(\d+(?:e[+\-−]?\d+)?)$/i;

function unreadable(line) {
  throw new Failure("unreadable", [String(line)]);
}

/** The text of a dropped or chosen file: CSV and plain text as they are, `.npy` converted to text. */
export async function textOf(file) {
  if (file.size > 30 * MOST) throw new Failure("many");
  return file.name.endsWith(".npy") ? written(npy(await file.arrayBuffer())) : file.text();
}

function written({ values, shape }) {
  if (values.length > MOST) throw new Failure("many");
  const width = shape.length > 1 ? shape.at(-1) : 1;
  const rows = Array.from({ length: values.length / width }, (_, row) =>
    values
      .slice(row * width, (row + 1) * width)
      .map(plain)
      .join(", "),
  );
  return rows.join("\n");
}

const READERS = {
  f8: ["getFloat64", 8],
  f4: ["getFloat32", 4],
  f2: [half, 2],
  V2: [brain, 2],
  b1: ["getUint8", 1],
  i1: ["getInt8", 1],
  i2: ["getInt16", 2],
  i4: ["getInt32", 4],
  i8: ["getBigInt64", 8],
  u1: ["getUint8", 1],
  u2: ["getUint16", 2],
  u4: ["getUint32", 4],
  u8: ["getBigUint64", 8],
};

/** IEEE 754 binary16: a sign, five bits of exponent, ten of fraction. */
function half(view, place, little) {
  const bits = view.getUint16(place, little);
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * 2 ** (Math.max(exponent, 1) - 25) * (fraction + (exponent ? 1024 : 0));
}

/** bfloat16, the upper half of a binary32, which NumPy saves as two raw bytes. */
function brain(view, place, little) {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setUint16(0, view.getUint16(place, little));
  return bits.getFloat32(0);
}

/**
 * An `.npy` array in row-major order;
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
export function npy(buffer) {
  const view = new DataView(buffer);
  const magic = String.fromCharCode(...new Uint8Array(buffer, 0, Math.min(6, buffer.byteLength)));
  if (magic !== "\x93NUMPY") throw new Failure("npy");
  const wide = view.getUint8(6) > 1;
  const start = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder().decode(new Uint8Array(buffer, start, length));
  const [, order, type] = /'descr':\s*'([<>|=])(\w\d)'/.exec(header) ?? [];
  const [, dimensions] = /'shape':\s*\(([^)]*)\)/.exec(header) ?? [];
  if (!READERS[type] || dimensions === undefined) throw new Failure("npy");
  const shape = dimensions
    .split(",")
    .filter((each) => each.trim())
    .map(Number);
  const [read, size] = READERS[type];
  const count = shape.reduce((product, each) => product * each, 1);
  if (buffer.byteLength < start + length + count * size) throw new Failure("npy");
  const little = order !== ">";
  const at = (index) => {
    const place = start + length + index * size;
    return typeof read === "string" ? Number(view[read](place, little)) : read(view, place, little);
  };
  const placed = header.includes("'fortran_order': True") ? (index) => at(transposed(index, shape)) : at;
  return { shape, values: Array.from({ length: count }, (_, index) => placed(index)) };
}

/** The position of the element in column-major order. */
function transposed(index, shape) {
  let rest = index;
  let place = 0;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    const stride = shape.slice(0, axis).reduce((product, each) => product * each, 1);
    place += (rest % shape[axis]) * stride;
    rest = Math.floor(rest / shape[axis]);
  }
  return place;
}

/** Numbers as an `.npy` file of float64. */
export function toNpy(values) {
  const header = `{'descr': '<f8', 'fortran_order': False, 'shape': (${values.length},), }`;
  const padded = `${header.padEnd(117)}\n`; // padded to a multiple of 64 bytes, including the ten bytes before it
  const head = new Uint8Array([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, padded.length, 0]);
  return new Blob([head, padded, new Float64Array(values)]);
}

/** Numbers as the service's JSON has them. */
export function toJson(values) {
  if (Array.isArray(values)) return values.map(toJson);
  return Number.isFinite(values) ? values : String(values);
}

/** A number in the service's JSON, in which non-finite numbers are strings. */
export const fromJson = (value) => (value == null ? NaN : Number(value));

/** All digits, so that a program reads back the same number. */
export const plain = (value) => (Object.is(value, -0) ? "-0" : String(value));

/** A number for people: `digits` significant ones, a true minus sign, no sign for zero. */
export function shown(value, digits = 6) {
  if (value == null || Number.isNaN(value)) return value == null ? "–" : "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const short =
    size !== 0 && (size < 1e-4 || size >= 1e7)
      ? scientific(value, digits)
      : String(Number(value.toPrecision(digits)));
  return short.replace(/-/g, "−");
}

/** A logarithm for people, to two decimals at most, which is the accuracy of a simulation. */
export const logarithm = (value) => shown(Number.isFinite(value) ? Number(value.toFixed(2)) + 0 : value, 5);

function scientific(value, digits) {
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  return `${Number(mantissa)}e${Number(exponent)}`;
}
