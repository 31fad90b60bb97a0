// Interpolation of the service's samples of curves.

/** The lines of each drawn function: `lines[function][order]` is a list of `{x, y}`. */
export function linesOf({ datasets: { curves } }) {
  const byName = new Map();
  for (const { series, order, x, y } of curves) {
    if (!byName.has(series)) byName.set(series, [[], [], []]);
    byName.get(series)[order].push({ x, y });
  }
  return [...byName.values()];
}

/** The height of a curve at `x`, on the straight line between two samples; NaN where there is none. */
export function heightAt(pieces, x) {
  const piece = pieces.find((each) => each.x[0] <= x && x <= each.x.at(-1));
  if (!piece) return NaN;
  let [low, high] = [0, piece.x.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (piece.x[middle] <= x) low = middle;
    else high = middle;
  }
  const [before, after] = [piece.y[low], piece.y[high]];
  if (before === null || after === null) return NaN;
  const part = (x - piece.x[low]) / (piece.x[high] - piece.x[low] || 1);
  return before + part * (after - before);
}

/** The place of a curve's maximum, if it is a single one inside the picture. */
export function summit(pieces) {
  const points = pieces.flatMap(({ x, y }) => x.map((each, index) => [each, y[index]]));
  const heights = points.map(([, y]) => y ?? -Infinity);
  const most = heights.reduce((one, two) => Math.max(one, two), -Infinity);
  const places = points.filter((_, index) => heights[index] >= most - 1e-9 * Math.abs(most));
  const [first, last] = [places[0], places.at(-1)];
  if (!first || first[0] === points[0][0] || last[0] === points.at(-1)[0]) return null;
  const alone = last[0] - first[0] <= (points.at(-1)[0] - points[0][0]) / 50;
  return alone ? { x: (first[0] + last[0]) / 2, y: most } : null;
}

/** The largest ratio of a picture's height to its flattest curve's, so that the curve does not look straight. */
const FLATTEST = 4.5;

/**
 * The part of the y-axis to show for these curves, or null for all of it: if one is much flatter than another, the
 * steeper one leaves the picture.
 */
export function window(curves) {
  const ends = curves
    .map((pieces) => pieces.flatMap(({ y }) => y.filter((each) => each !== null)))
    .filter((heights) => heights.length)
    .map((heights) => [
      heights.reduce((one, two) => Math.min(one, two)),
      heights.reduce((one, two) => Math.max(one, two)),
    ])
    .sort((one, two) => one[1] - one[0] - (two[1] - two[0]));
  const bent = ends.filter(([low, high]) => high - low > 1e-9 * Math.max(1, Math.abs(low), Math.abs(high)));
  if (!bent.length) return null;
  const most = FLATTEST * (bent[0][1] - bent[0][0]);
  let [low, high] = bent[0];
  for (const [lower, higher] of ends) {
    const [under, over] = [Math.min(low, lower), Math.max(high, higher)];
    if (over - under <= most) [low, high] = [under, over];
  }
  const [lowest, highest] = [Math.min(...ends.map(([each]) => each)), Math.max(...ends.map(([, each]) => each))];
  if (low <= lowest && high >= highest) return null;
  const room = Math.max(0, most - (high - low));
  const above = highest > high ? (lowest < low ? room / 2 : room) : 0;
  const below = lowest < low ? room - above : 0;
  return [Math.max(lowest, low - below), Math.min(highest, high + above)];
}
