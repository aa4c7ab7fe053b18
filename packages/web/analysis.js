/** Answers from saliency maps, as `modeling_mlnet.analysis` gives them: spots, effective area, regions, crops. */

const GRID = 48; // cells along the longer side on which spots are searched
const SADDLE = 0.8; // two peaks are two spots if the map between them falls below this part of the lower one
const FLOOR = 0.05; // of the map's highest point; a lower peak is no spot
const LEAST_SHARE = 0.01; // of all attention; a weaker spot is left out
const CUT_COST = 0.05; // share of attention that a cut through the map's highest point has to gain
const SURROUNDINGS = 0.1; // of the shorter side: how far a peak reaches
const NAMES = { rows: ["top", "middle", "bottom"], columns: ["left", "middle", "right"] };

/**
 * The spots that hold most of the predicted attention, the strongest first.
 *
 * Every peak of the map, on a grid of 48 cells, holds what lies downhill of it and is at least half as high.
 *
 * @param {import("./index.js").SaliencyMap} map
 * @param {number} count At most so many.
 */
export function findSpots(map, count = 5) {
  const { cells, rows, columns } = gridSums(map, GRID);
  const total = sum(cells);
  if (!(total > 0)) return [];
  const highest = Math.max(...cells);
  const labels = basins(cells, rows, columns, highest);
  const spots = [];
  for (const label of new Set(labels)) {
    if (label < 0) continue;
    const peak = cells[label];
    let [mass, across, down, area] = [0, 0, 0, 0];
    cells.forEach((value, cell) => {
      if (labels[cell] !== label || value < peak / 2) return;
      mass += value;
      across += value * ((cell % columns) + 0.5);
      down += value * (Math.floor(cell / columns) + 0.5);
      area += 1 / cells.length;
    });
    if (mass / total < LEAST_SHARE) continue;
    const [x, y] = [across / mass / columns, down / mass / rows];
    const where = nameNinth(x, y);
    spots.push({ x: x * map.width, y: y * map.height, share: mass / total, area, peak: peak / highest, where });
  }
  spots.sort((a, b) => b.share - a.share || b.x - a.x);
  return spots.slice(0, count).map((spot, index) => ({ number: index + 1, ...spot }));
}

/** The part of the image, 0..1, that attention would fill if it were even; 0 for an empty map. */
export function effectiveArea(map) {
  const { cells } = gridSums(map, GRID);
  const total = sum(cells);
  if (!(total > 0)) return 0;
  const entropy = sum(cells.map((value) => (value > 0 ? -(value / total) * Math.log(value / total) : 0)));
  return Math.exp(entropy) / cells.length;
}

/** For every cell the index of the peak it belongs to, -1 below the floor: cells join from the highest down. */
function basins(values, rows, columns, highest) {
  const parent = new Int32Array(values.length).fill(-1);
  const peakOf = (cell) => {
    while (parent[cell] !== cell) cell = parent[cell];
    return cell;
  };
  const order = [...values.keys()].filter((cell) => values[cell] >= FLOOR * highest);
  order.sort((a, b) => values[b] - values[a]); // stable
  for (const cell of order) {
    const [row, column] = [Math.floor(cell / columns), cell % columns];
    const peaks = new Set();
    for (let near = Math.max(row - 1, 0); near < Math.min(row + 2, rows); near++) {
      for (let beside = Math.max(column - 1, 0); beside < Math.min(column + 2, columns); beside++) {
        const neighbour = near * columns + beside;
        if (parent[neighbour] >= 0) peaks.add(peakOf(neighbour));
      }
    }
    const [first = cell, ...lower] = [...peaks].sort((a, b) => values[b] - values[a] || a - b);
    parent[cell] = first;
    for (const peak of lower) if (values[cell] >= SADDLE * values[peak]) parent[peak] = first;
  }
  return parent.map((root, cell) => (root < 0 ? -1 : peakOf(cell)));
}

/**
 * What boxes hold of the predicted attention. A pixel that a box covers in part counts in part.
 *
 * @param {import("./index.js").SaliencyMap} map
 * @param {import("./index.js").Box[]} boxes In pixels, inside the image.
 */
export function measureRegions(map, boxes) {
  const total = sum(map.data);
  const regions = boxes.map((box) => {
    const { name, x, y, width, height } = box;
    const isInside = x >= 0 && y >= 0 && x + width <= map.width && y + height <= map.height;
    if (!(width > 0 && height > 0 && isInside)) {
      throw new RangeError(`box ${JSON.stringify(box)} must have an area and lie in ${map.width} x ${map.height} px`);
    }
    const share = total > 0 ? boxSum(map, x, y, x + width, y + height) / total : 0;
    const area = (width * height) / (map.width * map.height);
    return { name, x, y, width, height, share, area, ratio: share / area };
  });
  return regions.map((region) => ({ ...region, rank: 1 + regions.filter((r) => r.share > region.share).length }));
}

/**
 * The largest window of a shape, where it keeps most of the predicted attention without cutting through a peak.
 *
 * @param {import("./index.js").SaliencyMap} map
 * @param {string} aspect Width and height of the shape, such as "16:9".
 */
export function bestCrop(map, aspect) {
  const [ratioWidth, ratioHeight] = /^[1-9]\d*:[1-9]\d*$/.test(aspect) ? aspect.split(":").map(Number) : [];
  if (!ratioWidth) throw new RangeError(`an aspect is two whole numbers such as 16:9, got ${aspect}`);
  const { width, height } = map;
  const slidesAcross = width * ratioHeight >= height * ratioWidth;
  const side = slidesAcross ? width : height;
  const window = slidesAcross
    ? Math.max(1, roundHalfEven((height * ratioWidth) / ratioHeight))
    : Math.max(1, roundHalfEven((width * ratioHeight) / ratioWidth));
  const { sums, peaks } = profiles(map, slidesAcross);
  const running = [0];
  for (const value of sums) running.push(running.at(-1) + value);
  const costs = edgeCosts(peaks, Math.trunc(((SURROUNDINGS * Math.min(width, height)) / side) * side));
  const offsets = [...Array(side - window + 1).keys()];
  const shares = offsets.map((offset) => (running[offset + window] - running[offset]) / (running[side] || 1));
  const scores = offsets.map((offset) => shares[offset] - CUT_COST * (costs[offset] + costs[offset + window]));
  const highest = scores.reduce((best, score) => Math.max(best, score), -Infinity);
  const middle = (offsets.length - 1) / 2;
  const best = offsets.filter((offset) => scores[offset] >= highest - 1e-12);
  const offset = best.reduce((a, b) => (Math.abs(b - middle) < Math.abs(a - middle) ? b : a));
  return {
    aspect,
    x: slidesAcross ? offset : 0,
    y: slidesAcross ? 0 : offset,
    width: slidesAcross ? window : width,
    height: slidesAcross ? height : window,
    kept: shares[offset],
    kept_by_centre: shares[Math.floor(middle)],
  };
}

/** Sums and maxima of a map in every column (across) or row. */
function profiles({ data, width, height }, isAcross) {
  const side = isAcross ? width : height;
  const [sums, peaks] = [new Float64Array(side), new Float64Array(side)];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = data[y * width + x];
      const index = isAcross ? x : y;
      sums[index] += value;
      if (value > peaks[index]) peaks[index] = value;
    }
  }
  return { sums, peaks };
}

/** Height of the peaks at a cut before every pixel and behind the last, 0..1; a peak falls to 0 over the radius. */
function edgeCosts(peaks, radius) {
  const near = peaks.map((_, index) => {
    let highest = 0;
    for (let shift = -radius; shift <= radius; shift++) {
      highest = Math.max(highest, (peaks[index + shift] ?? 0) * (1 - Math.abs(shift) / (radius + 1)));
    }
    return highest;
  });
  const top = peaks.reduce((a, b) => Math.max(a, b), 0) || 1;
  const costs = Array.from({ length: peaks.length + 1 }, (_, cut) => Math.max(near[cut - 1] ?? 0, near[cut] ?? 0) / top);
  costs[0] = costs[peaks.length] = 0; // the image's own edges
  return costs;
}

/** Sums over a grid of equal cells, so many along the longer side, or one per pixel where the map is smaller. */
function gridSums(map, count) {
  const scale = Math.min(1, count / Math.max(map.width, map.height));
  const [rows, columns] = [map.height, map.width].map((side) => Math.max(1, roundHalfEven(side * scale)));
  const cells = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const [top, bottom] = [(row * map.height) / rows, ((row + 1) * map.height) / rows];
    for (let column = 0; column < columns; column++) {
      const [left, right] = [(column * map.width) / columns, ((column + 1) * map.width) / columns];
      cells[row * columns + column] = boxSum(map, left, top, right, bottom);
    }
  }
  return { cells, rows, columns };
}

function boxSum({ data, width, height }, left, top, right, bottom) {
  let total = 0;
  for (let y = Math.floor(top); y < Math.min(Math.ceil(bottom), height); y++) {
    const down = Math.min(y + 1, bottom) - Math.max(y, top);
    let line = 0;
    for (let x = Math.floor(left); x < Math.min(Math.ceil(right), width); x++) {
      line += data[y * width + x] * (Math.min(x + 1, right) - Math.max(x, left));
    }
    total += line * down;
  }
  return total;
}

/** The ninth of the image that a point lies in, from fractions of its sides: "top left", "middle". */
export function nameNinth(x, y) {
  const [row, column] = [NAMES.rows[Math.min(Math.trunc(3 * y), 2)], NAMES.columns[Math.min(Math.trunc(3 * x), 2)]];
  return row === column ? row : `${row} ${column}`;
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
