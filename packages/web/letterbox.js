/**
 * The letterbox and its inverse of `letterbox_mlnet.py`, equal to it to the last bit.
 *
 * Canvas scaling differs from browser to browser; maps agree with Python's only if images are resized the same way.
 */

export const STRIDE = 8; // pixels of the canvas per cell of the map

/** Height and width of an image that is fitted into the canvas, in the integers of the release; at least 1. */
export function letterboxSize(height, width, [rows, columns]) {
  return height * columns > width * rows
    ? [rows, Math.max(1, Math.floor((width * rows) / height))]
    : [Math.max(1, Math.floor((height * columns) / width)), columns];
}

/**
 * The network's input, `(3, rows, columns)`.
 *
 * @param {{data: Uint8ClampedArray, width: number, height: number}} image RGBA, as a canvas gives it; not
 *   transparent.
 * @param {import("./index.js").Letterbox} letterbox Of the checkpoint.
 */
export function pixelValues(image, letterbox) {
  const [rows, columns] = letterbox.size;
  const [height, width] = letterboxSize(image.height, image.width, letterbox.size);
  const resize = letterbox.antialias ? resizeAntialiased : resizeLikeOpenCV;
  const resized = resize(toRGB(image), image.height, image.width, height, width);
  const top = (rows - height) >> 1;
  const left = (columns - width) >> 1;
  const values = new Float32Array(3 * rows * columns);
  for (let channel = 0; channel < 3; channel++) {
    const normalized = normalize(letterbox, channel);
    const plane = values.subarray(channel * rows * columns, (channel + 1) * rows * columns).fill(normalized[0]);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        plane[(top + y) * columns + left + x] = normalized[resized[3 * (y * width + x) + channel]];
      }
    }
  }
  return values;
}

/** Every byte as the network gets it. */
function normalize(letterbox, channel) {
  const values = Float32Array.from({ length: 256 }, (_, value) => value);
  const { fround } = Math;
  return values.map((value) => {
    if (letterbox.do_rescale) value = fround(value * fround(letterbox.rescale_factor));
    if (!letterbox.do_normalize) return value;
    return fround(value - fround(letterbox.image_mean[channel])) / fround(letterbox.image_std[channel]);
  });
}

function toRGB({ data, width, height }) {
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < rgb.length; from++) if (from % 4 < 3) rgb[to++] = data[from];
  return rgb;
}

function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

const PRECISION = 22; // bits of a weight behind the point: a sum of 8-bit values then fits into 32 bits

/** Pillow's bilinear resizing of bytes `(height, width, 3)`: a triangle as wide as what it averages over. */
function resizeAntialiased(image, height, width, newHeight, newWidth) {
  const narrow = width === newWidth ? image : resizeAxis(image, width, newWidth, height, 3, 3 * width, 3 * newWidth);
  const row = 3 * newWidth;
  return height === newHeight ? narrow : resizeAxis(narrow, height, newHeight, newWidth, row, 3, 3);
}

/**
 * @param {number} step Between neighbours along the axis.
 * @param {number} lineStep Between lines along the axis, in the source.
 * @param {number} newLineStep The same in the result.
 */
function resizeAxis(source, size, newSize, lines, step, lineStep, newLineStep) {
  const result = new Uint8Array(3 * lines * newSize);
  for (let index = 0; index < newSize; index++) {
    const [start, weights] = triangle(index, size / newSize, size);
    for (let line = 0; line < lines; line++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 1 << (PRECISION - 1);
        let position = line * lineStep + start * step + channel;
        for (let tap = 0; tap < weights.length; tap++, position += step) {
          sum = (sum + Math.imul(source[position], weights[tap])) | 0;
        }
        result[line * newLineStep + index * step + channel] = sum >> PRECISION; // no weight is below 0
      }
    }
  }
  return result;
}

/** The first source pixel of an output, and the weights of those from there on. */
function triangle(index, scale, size) {
  const support = Math.max(scale, 1);
  const centre = (index + 0.5) * scale;
  const start = Math.max(0, Math.trunc(centre - support + 0.5));
  const stop = Math.min(size, Math.trunc(centre + support + 0.5));
  const inverse = 1 / support;
  const weights = [];
  let total = 0;
  for (let tap = 0; tap < stop - start; tap++) {
    const weight = Math.max(0, 1 - Math.abs((tap + start - centre + 0.5) * inverse));
    weights.push(weight);
    total += weight;
  }
  return [start, Int32Array.from(weights, (weight) => Math.trunc(0.5 + (weight / total) * (1 << PRECISION)))];
}

/** Bilinear resizing of bytes `(height, width, 3)` in OpenCV's integer arithmetic, as the release does. */
function resizeLikeOpenCV(image, height, width, newHeight, newWidth) {
  const across = openCVWeights(newWidth, width);
  const down = openCVWeights(newHeight, height);
  const result = new Uint8Array(3 * newHeight * newWidth);
  const line = (y, x, channel) => {
    const first = image[3 * (y * width + across.lower[x]) + channel] * across.lowerWeight[x];
    return (first + image[3 * (y * width + across.upper[x]) + channel] * across.upperWeight[x]) >> 4;
  };
  for (let y = 0; y < newHeight; y++) {
    for (let x = 0; x < newWidth; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const above = (line(down.lower[y], x, channel) * down.lowerWeight[y]) >> 16;
        const below = (line(down.upper[y], x, channel) * down.upperWeight[y]) >> 16;
        result[3 * (y * newWidth + x) + channel] = (above + below + 2) >> 2;
      }
    }
  }
  return result;
}

/** Along one axis: the two source indices of every output and their weights in units of 1/2048. */
function openCVWeights(size, source) {
  const weights = { lower: [], upper: [], lowerWeight: [], upperWeight: [] };
  const { fround } = Math;
  for (let index = 0; index < size; index++) {
    const position = fround(Math.min(Math.max((index + 0.5) * (source / size) - 0.5, 0), source - 1));
    const lower = Math.trunc(position);
    const weight = fround(position - lower);
    weights.lower.push(lower);
    weights.upper.push(Math.min(lower + 1, source - 1));
    weights.lowerWeight.push(roundHalfEven(fround(fround(1 - weight) * 2048)));
    weights.upperWeight.push(roundHalfEven(fround(weight * 2048)));
  }
  return weights;
}

/**
 * The map of an image: the network's cells at the image's size, of maximum 1.
 *
 * @param {Float32Array} cells `(rows / 8, columns / 8)`, at least 0.
 * @param {import("./index.js").Letterbox} letterbox Of the checkpoint.
 * @param {number} height Of the image.
 * @param {number} width Of the image.
 */
export function saliencyMap(cells, letterbox, height, width) {
  const grid = letterbox.size.map((side) => side / STRIDE);
  return divideByMaximum(invert(cells, grid, [height, width]));
}

/** A map on the canvas's grid at an image's own size, bilinearly. */
function invert(cells, grid, size) {
  const [down, across] = size.map((_, axis) => samples(inversePositions(size, grid, axis), grid[axis]));
  const { fround } = Math;
  const [height, width] = size;
  const [rows, columns] = grid;
  const wide = new Float32Array(rows * width);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < width; x++) {
      const first = cells[y * columns + across.lower[x]];
      const difference = fround(cells[y * columns + across.upper[x]] - first);
      wide[y * width + x] = fround(difference * across.weight[x]) + first;
    }
  }
  const result = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const weight = down.weight[y];
    const above = down.lower[y] * width;
    const below = down.upper[y] * width;
    for (let x = 0; x < width; x++) {
      const first = wide[above + x];
      result[y * width + x] = fround(fround(wide[below + x] - first) * weight) + first;
    }
  }
  return result;
}

/** For every row (axis 0) or column (axis 1) of an image, the position on the map's grid it lies on. */
function inversePositions([height, width], [rows, columns], axis) {
  const size = [height, width][axis];
  const canvas = [rows * STRIDE, columns * STRIDE];
  let offset, step, unit;
  if (height < rows && width < columns) {
    const inner = letterboxSize(height, width, canvas)[axis];
    [offset, step, unit] = [Math.floor((canvas[axis] - inner) / 2), inner / size, STRIDE];
  } else {
    const isTall = height * columns > width * rows;
    const cover = isTall
      ? [height, Math.floor((columns * height) / rows)][axis]
      : [Math.floor((rows * width) / columns), width][axis];
    [offset, step, unit] = [Math.floor((cover - size) / 2), 1, cover / [rows, columns][axis]];
  }
  return Float64Array.from({ length: size }, (_, index) => (offset + (index + 0.5) * step) / unit - 0.5);
}

/** Between which two cells positions lie, and how near to the second. */
function samples(positions, cells) {
  const clipped = positions.map((position) => Math.min(Math.max(position, 0), cells - 1));
  const lower = Int32Array.from(clipped, Math.trunc);
  return {
    lower,
    upper: lower.map((index) => Math.min(index + 1, cells - 1)),
    weight: Float32Array.from(clipped, (position, index) => position - lower[index]),
  };
}

function maximum(values) {
  return values.reduce((peak, value) => (value > peak ? value : peak), 0);
}

function divideByMaximum(values) {
  const peak = maximum(values);
  return peak > 0 ? values.map((value) => value / peak) : values;
}
