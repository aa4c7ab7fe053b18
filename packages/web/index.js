/** Saliency maps in the browser, equal to those of the Python package mlnet-saliency. The image stays on the machine. */

import { bestCrop, effectiveArea, findSpots, measureRegions } from "./analysis.js";
import { pixelValues, saliencyMap, STRIDE } from "./letterbox.js";
import { overlay } from "./overlay.js";

export { bestCrop, effectiveArea, findSpots, measureRegions, overlay };

const MOST_THREADS = 4; // more gain nothing on a network of this size

/**
 * Loads a checkpoint that `mlnet export --web` wrote.
 *
 * @param {string | URL} folder Address of the folder that holds `model.json` and `model.onnx`.
 * @param {typeof import("onnxruntime-web")} ort onnxruntime-web, or its WebGPU build.
 */
export async function load(folder, ort) {
  const base = new URL(`${folder}/`.replace(/\/+$/, "/"), globalThis.location?.href);
  const [config, graph] = await Promise.all(["model.json", "model.onnx"].map((name) => get(new URL(name, base))));
  return create(await config.json(), await graph.arrayBuffer(), ort);
}

/**
 * As `load`, from what the two files hold.
 *
 * @param {import("./index.js").Config} config Of `model.json`.
 * @param {ArrayBuffer} graph Of `model.onnx`.
 * @param {typeof import("onnxruntime-web")} ort
 */
export async function create(config, graph, ort) {
  // without cross-origin isolation there is no shared memory, and so there are no threads
  const threads = globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.wasm.numThreads ||= threads;
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  for (const backend of adapter ? ["webgpu", "wasm"] : ["wasm"]) {
    try {
      const session = await ort.InferenceSession.create(graph, { executionProviders: [backend] });
      return new SaliencyPredictor(config, session, ort.Tensor, backend);
    } catch (error) {
      if (backend === "wasm") throw error;
    }
  }
}

async function get(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
  return answer;
}

/** Predicts where people look in images. */
class SaliencyPredictor {
  #session;
  #Tensor;
  #last = Promise.resolve();

  constructor(config, session, Tensor, backend) {
    this.config = config;
    this.recordings = config.recordings;
    this.backend = backend;
    this.#session = session;
    this.#Tensor = Tensor;
  }

  /** The map of an image at its own size, and its strongest spots; see index.d.ts. */
  async predict(image, { recording = this.recordings[0], spots = 5 } = {}) {
    const kind = this.recordings.indexOf(recording);
    if (recording !== undefined && kind < 0) {
      throw new RangeError(`recording must be one of ${this.recordings.join(", ") || "none"}, got ${recording}`);
    }
    const pixels = readPixels(image);
    const { letterbox } = this.config;
    const [rows, columns] = letterbox.size;
    const input = new this.#Tensor("float32", pixelValues(pixels, letterbox), [1, 3, rows, columns]);
    // a session runs one image at a time
    const run = this.#last.then(() => this.#session.run({ pixel_values: input }, ["saliency_map"]));
    this.#last = run.catch(() => {});
    const values = (await run).saliency_map.data;
    const size = (rows / STRIDE) * (columns / STRIDE);
    const cells = values.slice(Math.max(kind, 0) * size, (Math.max(kind, 0) + 1) * size);
    const { width, height } = pixels;
    const map = { data: saliencyMap(cells, letterbox, height, width), width, height };
    return { map, spots: findSpots(map, spots) };
  }

  /** Frees the network's memory. */
  release() {
    return this.#session.release();
  }
}

/** The pixels of an image over white. */
export function readPixels(image) {
  if (image.data) return image;
  const { naturalWidth: width = image.width, naturalHeight: height = image.height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, width, height);
}

/**
 * Decodes an image file as Python does: upright by its EXIF orientation, its colour values as they are in the file.
 *
 * @param {Blob} file
 */
export async function decode(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch (error) {
    throw new Error(`${file.name ?? "the image"} cannot be read as an image`, { cause: error });
  }
}
