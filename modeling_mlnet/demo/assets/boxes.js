// An image on which boxes are drawn with mouse, pen or finger, and their shares of attention beside it.
// value: {src, map, width, height, boxes}, boxes being lines "name: x, y, width, height" in pixels of the image, or null
// for those that are there: an answer about other settings knows no box that was drawn since they were asked for.
// typed: the same lines from elsewhere, and when. shares: {name: share} of those that are measured; suggest: names that the other design has.

const { frame, layer, show } = makeFrame();
const toggle = make("input", { type: "checkbox", onchange: () => render() });
const hint = make("p", { className: "mlnet-hint", role: "status" });
const list = make("ol", { className: "mlnet-bars" });
element.replaceChildren(
  frame, make("label", { className: "mlnet-toggle" }, toggle, " Show the map"), hint, list);

const read = () => (props.value?.boxes || "").split("\n").filter((line) => line.trim()).map((line, index) => {
  const at = line.lastIndexOf(":");
  const [x, y, width, height] = line.slice(at + 1).split(/[,;]/).map(Number);
  return { name: line.slice(0, Math.max(at, 0)).trim() || String(index + 1), x, y, width, height };
});
const write = (boxes) => {
  const lines = boxes.map(({ name, x, y, width, height }) => `${name}: ${x}, ${y}, ${width}, ${height}`);
  props.value = { ...props.value, boxes: lines.join("\n") };
  trigger("input");
  render();
};

const place = (box, { x, y, width, height }) => {
  const size = props.value;
  Object.assign(box.style, {
    left: `${(100 * x) / size.width}%`, top: `${(100 * y) / size.height}%`,
    width: `${(100 * width) / size.width}%`, height: `${(100 * height) / size.height}%`,
  });
  return box;
};

let rendered = null; // the value that is shown
const render = () => {
  rendered = props.value;
  const { src, map, width, height } = props.value || {};
  show(toggle.checked && map ? map : src, texts.alt, width, height);
  toggle.parentElement.hidden = !map;
  const boxes = read();
  const numbered = boxes.map((box, index) => ({ ...box, number: index + 1, share: props.shares?.[box.name] }));
  layer.replaceChildren(...numbered.map((box) =>
    place(make("div", { className: "mlnet-box" },
      make("span", { className: "mlnet-number", textContent: box.number })), box)));
  const most = Math.max(...numbered.map(({ share }) => share || 0), 1e-9);
  numbered.sort((first, second) => (second.share ?? -1) - (first.share ?? -1));
  list.replaceChildren(...numbered.map(({ number, name, share, ...box }) => {
    const ratio = (share * width * height) / (box.width * box.height);
    const bar = make("span", { className: "mlnet-bar", style: `width:${(100 * (share || 0)) / most}%` });
    const figure = share === undefined ? "..." : `${percent(share)}, ${ratio.toFixed(1)} x its area`;
    return make("li", {},
      make("span", { className: "mlnet-number", textContent: number }),
      make("span", { className: "mlnet-name" }, make("strong", { textContent: name }), ` ${figure}`, bar),
      make("button", { type: "button", textContent: "Remove", ariaLabel: `Remove ${name}`,
        onclick: () => write(boxes.filter((box) => box.name !== name)) }));
  }));
  hint.textContent = src ? texts.hint : texts.empty;
};

// A name is asked for as soon as a box is drawn; Enter keeps it, Escape drops the box.
const ask = (box, drawn) => {
  const taken = read().map(({ name }) => name);
  let number = taken.length + 1;
  while (taken.includes(String(number))) number += 1;
  const free = (props.suggest || []).filter((name) => !taken.includes(name));
  const input = make("input", { type: "text", maxLength: 40, value: free[0] || "", ariaLabel: "Name of the box",
    placeholder: `Name, or ${number}` });
  const drop = () => { form.remove(); drawn.remove(); };
  const form = make("form", { className: "mlnet-ask",
    onsubmit: (event) => {
      event.preventDefault();
      const name = input.value.replace(/[\n:]/g, " ").trim() || String(number);
      if (taken.includes(name)) {
        input.setCustomValidity(`There is a box ${name} already`);
        input.reportValidity();
        return;
      }
      drop();
      write([...read(), { name, ...box }]);
    },
    onkeydown: (event) => { if (event.key === "Escape") drop(); },
    oninput: () => input.setCustomValidity(""),
  }, input, make("button", { type: "submit", textContent: "Keep" }),
  make("button", { type: "button", textContent: "Drop", onclick: drop }));
  frame.after(form);
  input.focus({ preventScroll: true });
  input.select();
  form.scrollIntoView({ block: "nearest" });
};

let start = null;
let drawn = null;
const at = (event) => {
  const bounds = layer.getBoundingClientRect();
  const part = (value, from, length) => Math.min(1, Math.max(0, (value - from) / length));
  return [Math.round(part(event.clientX, bounds.left, bounds.width) * props.value.width),
    Math.round(part(event.clientY, bounds.top, bounds.height) * props.value.height)];
};
const spanned = ([x, y], [toX, toY]) =>
  ({ x: Math.min(x, toX), y: Math.min(y, toY), width: Math.abs(toX - x), height: Math.abs(toY - y) });
layer.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || start) return;
  event.preventDefault();
  element.querySelector(".mlnet-ask")?.remove();
  render(); // without a box that was drawn and not named
  layer.setPointerCapture(event.pointerId);
  start = at(event);
  drawn = make("div", { className: "mlnet-box mlnet-drawn" });
  layer.append(place(drawn, spanned(start, start)));
});
layer.addEventListener("pointermove", (event) => { if (start) place(drawn, spanned(start, at(event))); });
layer.addEventListener("pointerup", (event) => {
  if (!start) return;
  const box = spanned(start, at(event));
  start = null;
  const bounds = layer.getBoundingClientRect();
  if ((box.width * bounds.width) / props.value.width < 6 || (box.height * bounds.height) / props.value.height < 6) {
    drawn.remove(); // a click, not a box
  } else ask(box, drawn);
});
// A finger that draws makes no gesture: after a swift stroke Chromium would take the next tap for the end of a fling.
layer.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
layer.addEventListener("pointercancel", () => { start = null; drawn?.remove(); });

watch("value", () => {
  const { src, width, height, boxes } = props.value || {};
  const isSame = rendered?.width === width && rendered?.height === height;
  if (src && boxes === null) props.value = { ...props.value, boxes: (isSame && rendered.boxes) || "" };
  render();
});
watch(["shares", "suggest"], render);
watch("typed", () => {
  props.value = { ...props.value, boxes: props.typed[0] };
  render();
});
render();
