/** The image on the page, and what lies over it: numbers of spots, boxes of regions, the window of a crop. */

const LEAST = 6; // pixels on the screen; a shorter drag is a click

export class Stage {
  #element;
  #canvas;
  #onBoxKey;

  /**
   * @param {HTMLElement} element
   * @param {{onBox: Function, onBoxKey: Function}} handlers A box that was dragged, and a key pressed on one.
   */
  constructor(element, { onBox, onBoxKey }) {
    this.#element = element;
    this.#canvas = element.querySelector("canvas");
    this.#onBoxKey = onBoxKey;
    this.#listen(onBox);
  }

  /** @param {ImageData} image */
  draw(image) {
    this.#canvas.width = image.width;
    this.#canvas.height = image.height;
    this.#element.style.setProperty("--shape", image.width / image.height);
    this.#canvas.getContext("2d").putImageData(image, 0, 0);
  }

  setBusy(isBusy) {
    this.#element.classList.toggle("busy", isBusy);
    this.#element.setAttribute("aria-busy", isBusy);
  }

  /** Whether a touch marks a region instead of scrolling; a mouse always does. */
  setMarking(isMarking) {
    this.#element.classList.toggle("marking", isMarking);
    if (isMarking) this.#element.focus({ preventScroll: true });
  }

  place({ spots, boxes, crop }) {
    const marks = spots.map(({ number, x, y }) => this.#at("span", "", { x, y }, String(number)));
    this.#element.querySelector("#marks").replaceChildren(...marks);
    const regions = boxes.map((box) => {
      const region = this.#at("div", "box", box, "");
      const label = document.createElement("span");
      label.textContent = box.name;
      region.append(label);
      region.tabIndex = 0;
      region.dataset.name = box.name;
      region.setAttribute("role", "group");
      region.setAttribute("aria-label", `${box.name}: arrows move it, with shift they resize it, delete removes it`);
      region.addEventListener("keydown", (event) => this.#onBoxKey(box.name, event));
      return region;
    });
    this.#element.querySelector("#boxes").replaceChildren(...regions);
    const window = this.#element.querySelector("#window");
    window.hidden = !crop;
    if (crop) this.#put(window, crop);
  }

  focusBox(name) {
    this.#element.querySelector(`[data-name="${CSS.escape(name)}"]`)?.focus();
  }

  #at(tag, className, place, text) {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    this.#put(element, place);
    return element;
  }

  #put(element, { x, y, width, height }) {
    const part = (value, side) => `${(100 * value) / side}%`;
    element.style.left = part(x, this.#canvas.width);
    element.style.top = part(y, this.#canvas.height);
    if (width !== undefined) {
      element.style.width = part(width, this.#canvas.width);
      element.style.height = part(height, this.#canvas.height);
    }
  }

  #listen(onBox) {
    let start = null;
    let shown = null;
    const end = () => {
      shown?.remove();
      start = shown = null;
    };
    const between = (event) => {
      const frame = this.#canvas.getBoundingClientRect();
      const scale = this.#canvas.width / frame.width;
      const [left, right] = [start.x, event.clientX].map((x) => x - frame.left).sort((a, b) => a - b);
      const [top, bottom] = [start.y, event.clientY].map((y) => y - frame.top).sort((a, b) => a - b);
      const box = { x: left * scale, y: top * scale, width: (right - left) * scale, height: (bottom - top) * scale };
      return Math.min(right - left, bottom - top) < LEAST ? null : clampBox(box, this.#canvas);
    };
    const element = this.#element;
    element.addEventListener("pointerdown", (event) => {
      const isMarking = event.pointerType === "mouse" || element.classList.contains("marking");
      if (!isMarking || event.button !== 0) return;
      start = { x: event.clientX, y: event.clientY };
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      const box = start && between(event);
      if (!box) return;
      shown ??= element.appendChild(this.#at("div", "box", box, ""));
      this.#put(shown, box);
    });
    element.addEventListener("pointerup", (event) => {
      const box = start && between(event);
      end();
      if (box) onBox(box);
    });
    element.addEventListener("pointercancel", end);
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target !== element) return;
      event.preventDefault();
      const { width, height } = this.#canvas;
      onBox({ x: width / 3, y: height / 3, width: width / 3, height: height / 3 });
    });
  }
}

/** A box cut at the image's edges. */
export function clampBox(box, { width, height }) {
  const [left, right] = [box.x, box.x + box.width].map((x) => Math.min(Math.max(x, 0), width));
  const [top, bottom] = [box.y, box.y + box.height].map((y) => Math.min(Math.max(y, 0), height));
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** The box that an arrow key moves, or resizes with shift; `null` for another key. */
export function boxFromKey(box, { key, shiftKey }, { width, height }) {
  const step = Math.max(width, height) / 50;
  const [across, down] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[key] ?? [];
  if (across === undefined) return null;
  const within = (value, low, high) => Math.min(Math.max(value, low), high);
  if (shiftKey) {
    const [wide, high] = [box.width + across, box.height + down];
    return { ...box, width: within(wide, step, width - box.x), height: within(high, step, height - box.y) };
  }
  const [x, y] = [within(box.x + across, 0, width - box.width), within(box.y + down, 0, height - box.height)];
  return { ...box, x, y };
}
