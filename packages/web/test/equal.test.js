/** The module against Python: `tests/test_web_module.py` writes the cases, whose file MLNET_CASES names. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { bestCrop, effectiveArea, findSpots, measureRegions } from "../analysis.js";
import { letterboxSize, pixelValues, saliencyMap } from "../letterbox.js";

const path = process.env.MLNET_CASES;
const skip = path ? false : "MLNET_CASES names no file";
const cases = path ? JSON.parse(readFileSync(path, "utf-8")) : { images: [], maps: [] };

const floats = (text) => new Float32Array(new Uint8Array(Buffer.from(text, "base64")).buffer);

function assertClose(found, expected, name = "") {
  if (typeof expected === "number") {
    assert.ok(Math.abs(found - expected) <= 1e-6 * Math.max(1, Math.abs(expected)), `${name}: ${found}, not ${expected}`);
  } else if (typeof expected === "object") {
    assert.equal(found.length, expected.length, name);
    for (const key of Object.keys(expected)) assertClose(found[key], expected[key], `${name}.${key}`);
  } else {
    assert.equal(found, expected, name);
  }
}

test("pixel values and maps are Python's, bit by bit", { skip }, () => {
  assert.ok(cases.images.length > 0);
  for (const { width, height, rgba, letterbox, values, cells, map } of cases.images) {
    const image = { width, height, data: new Uint8ClampedArray(Buffer.from(rgba, "base64")) };
    const name = `${width} x ${height}, ${JSON.stringify(letterbox)}`;
    assert.deepEqual(pixelValues(image, letterbox), floats(values), name);
    assert.deepEqual(saliencyMap(floats(cells), letterbox, height, width), floats(map), name);
  }
});

test("spots, areas, regions and crops are Python's", { skip }, () => {
  assert.ok(cases.maps.length > 0);
  for (const { width, height, data, spots, area, boxes, regions, crops } of cases.maps) {
    const map = { width, height, data: floats(data) };
    assertClose(findSpots(map), spots, "spots");
    assertClose(effectiveArea(map), area, "area");
    assertClose(measureRegions(map, boxes), regions, "regions");
    for (const crop of crops) assertClose(bestCrop(map, crop.aspect), crop, crop.aspect);
  }
});

test("an empty map has no spots", () => {
  const map = { width: 4, height: 3, data: new Float32Array(12) };
  assert.deepEqual(findSpots(map), []);
  assert.equal(effectiveArea(map), 0);
  assert.equal(measureRegions(map, [{ name: "a", x: 0, y: 0, width: 2, height: 2 }])[0].share, 0);
});

test("what cannot be measured is refused", () => {
  const map = { width: 4, height: 3, data: new Float32Array(12) };
  assert.throws(() => bestCrop(map, "16-9"), /two whole numbers such as 16:9, got 16-9/);
  assert.throws(() => measureRegions(map, [{ name: "a", x: 3, y: 0, width: 2, height: 2 }]), /lie in 4 x 3 px/);
});

test("an image keeps its shape on the canvas", () => {
  assert.deepEqual(letterboxSize(100, 400, [336, 448]), [112, 448]);
  assert.deepEqual(letterboxSize(5000, 1, [336, 448]), [336, 1]);
});
