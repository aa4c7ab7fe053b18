/** The page: an image in, its map, spots, regions and crops out. Nothing is sent anywhere. */

import { boxFromKey, clampBox, Stage } from "./stage.js";
import { askName, download, onImageGiven, takePhoto } from "./sources.js";
import { bestCrop, decode, effectiveArea, load, measureRegions, overlay, readPixels } from "./mlnet-saliency-web/index.js";

const $ = (selector) => document.querySelector(selector);
const state = { name: "", pixels: null, map: null, spots: [], boxes: [], crop: null };
const stage = new Stage($("#stage"), { onBox: addBox, onBoxKey: changeBox });

const chosen = (name) => $(`input[name="${name}"]:checked`).value;
const percent = (share) => {
  const value = 100 * share;
  return value > 0 && value < 0.05 ? "< 0.1 %" : `${value.toFixed(value >= 9.95 || value === 0 ? 0 : 1)} %`;
};

function say(text) {
  $("#status").textContent = text;
}

/** A message that stays until it is closed. */
function complain(text) {
  const message = document.createElement("div");
  message.className = "message";
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => message.remove());
  message.append(words, close);
  $("#messages").replaceChildren(message);
}

async function loadNetwork() {
  const { wasmBinary } = globalThis; // of the page in one file, which has WebAssembly only
  const adapter = wasmBinary ? null : await navigator.gpu?.requestAdapter();
  const ort = await import(`./onnxruntime-web/ort.${adapter ? "webgpu" : "wasm"}.bundle.min.mjs`);
  ort.env.wasm.wasmBinary = wasmBinary;
  const predictor = await load("model", ort);
  $("#kind").hidden = predictor.recordings.length < 2;
  $("#kind select").append(...predictor.recordings.map((kind) => new Option(KINDS[kind] ?? kind, kind)));
  return predictor;
}

const KINDS = { eye: "an eye tracker", mouse: "a mouse" };
const network = loadNetwork().catch((error) => {
  throw new Error(`The network cannot be loaded: ${error.message}`);
});
network.catch((error) => complain(error.message));
let given = 0; // images so far: an answer to an older one is dropped

async function show(file, name = file.name) {
  const number = ++given;
  $("#stage").scrollIntoView({ block: "nearest" });
  try {
    const image = file instanceof Blob ? await decode(file) : file;
    if (number !== given) return;
    Object.assign(state, { name, pixels: readPixels(image), map: null, spots: [], boxes: [] });
    image.close();
    draw();
  } catch (error) {
    complain(error.message);
    if (state.map) return; // else what was being predicted is begun again
  }
  if (state.pixels) await predict(number);
}

async function predict(number = ++given) {
  const { pixels } = state;
  stage.setBusy(true);
  try {
    const predictor = await network;
    if (number !== given) return;
    say("Predicting …");
    await new Promise((resolve) => setTimeout(resolve)); // lets the page be drawn
    const start = performance.now();
    const { map, spots } = await predictor.predict(pixels, { recording: $("#kind select").value || undefined });
    if (number !== given) return;
    Object.assign(state, { map, spots });
    draw();
    performance.mark("map");
    const seconds = ((performance.now() - start) / 1000).toFixed(2);
    const where = predictor.backend === "webgpu" ? "on the graphics card" : "on the processor";
    say(`${map.width} x ${map.height} pixels, ${seconds} s ${where} of this machine.`);
  } catch (error) {
    say("");
    complain(error.message);
  }
  stage.setBusy(false);
}

function draw() {
  const { pixels, map, spots, boxes } = state;
  if (!pixels) return;
  const style = chosen("style");
  stage.draw(map && style !== "image" ? overlay(pixels, map, style) : pixels);
  const regions = map ? measureRegions(map, boxes) : [];
  const aspect = chosen("aspect");
  state.crop = map && aspect ? bestCrop(map, aspect) : null;
  stage.place({ spots: $("#numbers").checked ? spots : [], boxes, crop: state.crop });
  drawAnswers(regions);
  for (const button of document.querySelectorAll("#downloads button")) {
    button.disabled = !map || (button.value === "crop" && !state.crop);
  }
}

function item(share, ...parts) {
  const line = document.createElement("li");
  line.style.setProperty("--share", `${100 * share}%`);
  for (const [tag, text] of parts) {
    const part = document.createElement(tag);
    part.textContent = text;
    line.append(part);
  }
  return line;
}

function drawAnswers(regions) {
  const { map, spots, crop } = state;
  $("#focus").textContent = map ? `As concentrated as if it were even over ${percent(effectiveArea(map))} of the image.` : "";
  $("#spots").replaceChildren(
    ...spots.map(({ number, where, share }) => item(share, ["b", number], ["span", where], ["em", percent(share)])),
  );
  $("#regions").replaceChildren(
    ...regions.toSorted((a, b) => a.rank - b.rank).map((region) => {
      const share = `${percent(region.share)} `;
      const line = item(region.share, ["span", region.name], ["em", share], ["small", `of ${percent(region.area)} area`]);
      const remove = document.createElement("button");
      remove.type = "button";
      remove.textContent = "×";
      remove.setAttribute("aria-label", `Delete ${region.name}`);
      remove.addEventListener("click", () => removeBox(region.name));
      line.append(remove);
      return line;
    }),
  );
  $("#crop-words").textContent = crop
    ? `Keeps ${percent(crop.kept)} of attention; a crop of the middle keeps ${percent(crop.kept_by_centre)}.`
    : "The window that keeps most attention.";
}

// --- regions

async function addBox(box) {
  $("#add").setAttribute("aria-pressed", false);
  stage.setMarking(false);
  let number = 1;
  while (state.boxes.some(({ name }) => name === `Region ${number}`)) number++;
  const name = (await askName(`Region ${number}`))?.trim();
  if (!name) return;
  state.boxes = [...state.boxes.filter((known) => known.name !== name), { name, ...clampBox(box, state.pixels) }];
  draw();
}

function removeBox(name) {
  state.boxes = state.boxes.filter((box) => box.name !== name);
  draw();
}

function changeBox(name, event) {
  if (event.key === "Delete" || event.key === "Backspace") return removeBox(name);
  const moved = boxFromKey(state.boxes.find((box) => box.name === name), event, state.pixels);
  if (!moved) return;
  event.preventDefault();
  state.boxes = state.boxes.map((box) => (box.name === name ? moved : box));
  draw();
  stage.focusBox(name);
}

$("#add").addEventListener("click", () => {
  const isMarking = $("#add").getAttribute("aria-pressed") !== "true";
  $("#add").setAttribute("aria-pressed", isMarking);
  stage.setMarking(isMarking);
  if (isMarking) $("#stage").scrollIntoView({ block: "nearest" });
});

// --- downloads

function downloadOf(kind) {
  const { name, pixels, map, spots, boxes, crop } = state;
  const stem = name.replace(/\.[^.]*$/, "") || "image";
  const style = chosen("style");
  if (kind === "map") return download(overlay(pixels, map, "map"), `${stem}.map.png`);
  if (kind === "crop") return download(pixels, `${stem}.${crop.aspect.replace(":", "x")}.png`, crop);
  if (kind === "shown") {
    return download(style === "image" ? pixels : overlay(pixels, map, style), `${stem}.${style}.png`);
  }
  const regions = measureRegions(map, boxes);
  const numbers = { image: name, width: map.width, height: map.height, effective_area: effectiveArea(map) };
  return download({ ...numbers, spots, regions, crop }, `${stem}.json`);
}

$("#downloads").addEventListener("click", ({ target }) => {
  if (target.value) downloadOf(target.value).catch((error) => complain(error.message));
});

// --- what is given

for (const selector of ["#styles", "#aspects", "#numbers"]) $(selector).addEventListener("change", draw);
$("#kind").addEventListener("change", () => predict());
onImageGiven((file) => {
  markExample(null);
  show(file);
}, complain);
$("#camera").addEventListener("click", async () => {
  try {
    const image = await takePhoto();
    if (!image) return;
    markExample(null);
    show(image, "camera.png");
  } catch (error) {
    complain(`The camera cannot be used: ${error.message}`);
  }
});

function markExample(button) {
  document.querySelector("#examples [aria-current]")?.removeAttribute("aria-current");
  button?.setAttribute("aria-current", "true");
}

async function addExample(name) {
  const button = document.createElement("button");
  button.type = "button";
  const image = document.createElement("img");
  image.alt = `Example: ${name.replace(/\.[^.]*$/, "")}`;
  button.append(image);
  $("#examples").append(button);
  const file = await (await fetch(`examples/${name}`)).blob();
  image.src = URL.createObjectURL(file);
  button.addEventListener("click", () => {
    markExample(button);
    show(file, name);
  });
  return button;
}

const { examples, credits } = await (await fetch("page.json")).json();
$("#credits").textContent = credits;
const buttons = await Promise.all(examples.map(addExample));
if (given === 0) buttons[0]?.click();
