/** `predict` with a network that gives what it is told to. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { create } from "../index.js";

const letterbox = { size: [32, 48], antialias: true, do_rescale: false, do_normalize: false };
const image = { width: 48, height: 32, data: new Uint8ClampedArray(4 * 48 * 32).fill(255) };

/** onnxruntime-web with a network of several kinds of recording, whose peaks lie in different cells. */
function runtime(kinds, runs = []) {
  const run = async ({ pixel_values }) => {
    runs.push(pixel_values.dims);
    const data = new Float32Array(kinds * 24);
    for (let kind = 0; kind < kinds; kind++) data[24 * kind + kind] = 1;
    return { saliency_map: { data } };
  };
  class Tensor {
    constructor(type, data, dims) {
      Object.assign(this, { type, data, dims });
    }
  }
  return { env: { wasm: {} }, Tensor, InferenceSession: { create: async () => ({ run, release: async () => {} }) } };
}

test("the kind of recording chooses the map; the first is the default", async () => {
  const predictor = await create({ letterbox, recordings: ["eye", "mouse"] }, null, runtime(2));
  const x = async (options) => (await predictor.predict(image, options)).spots[0].x;
  const [first, eye, mouse] = await Promise.all([x(), x({ recording: "eye" }), x({ recording: "mouse" })]);
  assert.equal(first, eye);
  assert.ok(mouse > eye);
  await assert.rejects(predictor.predict(image, { recording: "tv" }), /recording must be one of eye, mouse, got tv/);
});

test("a network of one kind needs no name of it", async () => {
  const runs = [];
  const predictor = await create({ letterbox, recordings: [] }, null, runtime(1, runs));
  const { map, spots } = await predictor.predict(image, { spots: 1 });
  assert.deepEqual([map.width, map.height, map.data.length, Math.max(...map.data)], [48, 32, 48 * 32, 1]);
  assert.equal(spots.length, 1);
  assert.deepEqual(runs, [[1, 3, 32, 48]]);
  await assert.rejects(predictor.predict(image, { recording: "eye" }), /recording must be one of none, got eye/);
});

test("without cross-origin isolation one thread runs; what the user set stays", async () => {
  const [own, set] = [runtime(1), runtime(1)];
  set.env.wasm.numThreads = 3;
  for (const ort of [own, set]) await create({ letterbox, recordings: [] }, null, ort);
  assert.deepEqual([own.env.wasm.numThreads, set.env.wasm.numThreads], [1, 3]);
});
