import type * as ORT from "onnxruntime-web";

/** A map of an image: row by row, at least 0. `predict` gives values in 0..1 whose maximum is 1. */
export interface SaliencyMap {
  data: Float32Array;
  /** In pixels of the image. */
  width: number;
  height: number;
}

/** A peak of the map with what lies around it. */
export interface Spot {
  /** 1 for the spot with the largest share. */
  number: number;
  /** Of its centre of mass, in pixels of the image. */
  x: number;
  y: number;
  /** Of all predicted attention, 0..1. */
  share: number;
  /** Of the image, 0..1. */
  area: number;
  /** Its highest cell over the map's highest, 0..1. */
  peak: number;
  /** The ninth of the image it lies in, such as "top left". */
  where: string;
}

/** A rectangle in pixels of the image. */
export interface Box {
  name: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A box and what it holds of the predicted attention. */
export interface Region extends Box {
  /** Of all predicted attention, 0..1. */
  share: number;
  /** Of the image, 0..1. */
  area: number;
  /** Share over area; 1 is what an even spread would give. */
  ratio: number;
  /** By share, 1 for the largest. */
  rank: number;
}

/** A window of a wanted shape, in whole pixels of the image. */
export interface Crop {
  aspect: string;
  x: number;
  y: number;
  width: number;
  height: number;
  /** Share of all predicted attention inside it, 0..1. */
  kept: number;
  /** Share inside the window of this size in the middle of the image, 0..1. */
  kept_by_centre: number;
}

/** How an image lies on the network's canvas, as in preprocessor_config.json. */
export interface Letterbox {
  /** Height and width of the canvas in pixels, multiples of 8. */
  size: [number, number];
  antialias: boolean;
  do_rescale: boolean;
  rescale_factor: number;
  do_normalize: boolean;
  image_mean: [number, number, number];
  image_std: [number, number, number];
}

/** What `model.json` holds. */
export interface Config {
  name: string;
  letterbox: Letterbox;
  /** Kinds of recording whose ground truth the network predicts; empty if it knows one kind only. */
  recordings: string[];
}

export interface PredictOptions {
  /** One of `recordings`; the first by default. */
  recording?: string;
  /** At most so many spots; 5 by default. */
  spots?: number;
}

export interface SaliencyPredictor {
  readonly config: Config;
  readonly recordings: string[];
  /** Where the network runs. */
  readonly backend: "webgpu" | "wasm";
  /**
   * The map of an image at its own size, and its strongest spots. Images wait for one another.
   *
   * @throws RangeError If the recording is unknown.
   */
  predict(
    image: ImageBitmap | HTMLImageElement | HTMLCanvasElement | OffscreenCanvas | ImageData,
    options?: PredictOptions,
  ): Promise<{ map: SaliencyMap; spots: Spot[] }>;
  /** Frees the network's memory. */
  release(): Promise<void>;
}

/** Loads `model.json` and `model.onnx` of a folder that `mlnet export --web` wrote. */
export function load(folder: string | URL, ort: typeof ORT): Promise<SaliencyPredictor>;
/** As `load`, from what the two files hold. */
export function create(config: Config, graph: ArrayBuffer, ort: typeof ORT): Promise<SaliencyPredictor>;
/** Decodes an image file upright, with its colour values as they are in the file. */
export function decode(file: Blob): Promise<ImageBitmap>;
/** The pixels of an image, transparency laid over white. */
export function readPixels(
  image: ImageBitmap | HTMLImageElement | HTMLCanvasElement | OffscreenCanvas | ImageData,
): ImageData;
/** The spots that hold most of the predicted attention, the strongest first. */
export function findSpots(map: SaliencyMap, count?: number): Spot[];
/** The part of the image, 0..1, that attention would fill if it were even. */
export function effectiveArea(map: SaliencyMap): number;
/**
 * What boxes hold of the predicted attention.
 *
 * @throws RangeError If a box has no area or reaches beyond the image.
 */
export function measureRegions(map: SaliencyMap, boxes: Box[]): Region[];
/**
 * The largest window of a shape, such as "16:9", where it keeps most attention without cutting through a peak.
 *
 * @throws RangeError If the aspect is not of this form.
 */
export function bestCrop(map: SaliencyMap, aspect: string): Crop;
/** The image with its map: "heat" lays colours over it, "spotlight" dims it where the map is low, "map" is the map. */
export function overlay(image: ImageData, map: SaliencyMap, style: "heat" | "spotlight" | "map"): ImageData;
