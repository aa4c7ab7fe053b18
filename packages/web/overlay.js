/** Images under their saliency maps, as `io/overlay.py` draws them. */

const OPACITY = 0.8; // of the colours where the map is 1
const RISE = 0.75; // exponent of the map: low values are seen too
const DIMMED = 0.2; // brightness of "spotlight" where the map is 0
// matplotlib's inferno from .35 to .75 in equal steps; between them straight lines
const STOPS = [
  0x7f1e6c, 0x8a226a, 0x932667, 0x9d2964, 0xa82e5f, 0xb1325a, 0xbc3754, 0xc43c4e, 0xcc4248,
  0xd54a41, 0xdd513a, 0xe45a31, 0xea632a, 0xef6c23, 0xf37819, 0xf78212, 0xf98e09,
];

/** The colours of "heat" from the lowest to the highest value, 256 times red, green and blue. */
export const PALETTE = Float32Array.from({ length: 3 * 256 }, (_, index) => {
  const position = (Math.floor(index / 3) / 255) * (STOPS.length - 1);
  const lower = Math.min(Math.floor(position), STOPS.length - 2);
  const [first, second] = [STOPS[lower], STOPS[lower + 1]].map((stop) => (stop >> (8 * (2 - (index % 3)))) & 255);
  return first + (second - first) * (position - lower);
});

const LEVELS = 4096; // of the map that are told apart

// What a value of the map does to a pixel: the factor of the pixel, and what is added in red, green and blue
const STYLES = {
  heat: (value) => {
    const weight = OPACITY * value ** RISE;
    const color = 3 * Math.round(255 * value);
    return [1 - weight, ...PALETTE.slice(color, color + 3).map((channel) => channel * weight)];
  },
  spotlight: (value) => [DIMMED + (1 - DIMMED) * Math.sqrt(value), 0, 0, 0],
  map: (value) => [0, 255 * value, 255 * value, 255 * value],
};

/**
 * The image with its map.
 *
 * @param {ImageData} image
 * @param {import("./index.js").SaliencyMap} map Of the same size, in 0..1.
 * @param {"heat" | "spotlight" | "map"} style
 */
export function overlay(image, map, style) {
  if (!(style in STYLES)) throw new RangeError(`style must be one of ${Object.keys(STYLES).join(", ")}, got ${style}`);
  if (image.width !== map.width || image.height !== map.height) {
    const sizes = [image, map].map(({ width, height }) => `${width} x ${height}`);
    throw new RangeError(`image and map must have one size, got ${sizes.join(" and ")}`);
  }
  const levels = Array.from({ length: LEVELS }, (_, level) => level / (LEVELS - 1));
  const effects = Float32Array.from(levels.flatMap(STYLES[style]));
  const data = new Uint8ClampedArray(image.data.length).fill(255);
  for (let index = 0; index < map.data.length; index++) {
    const effect = 4 * Math.round(map.data[index] * (LEVELS - 1));
    for (let channel = 0; channel < 3; channel++) {
      const position = 4 * index + channel;
      data[position] = image.data[position] * effects[effect] + effects[effect + 1 + channel];
    }
  }
  return new ImageData(data, image.width, image.height);
}
