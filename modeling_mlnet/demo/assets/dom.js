// Helpers that stand before the script of every custom component. gr.HTML runs the whole as the body of a function
// with the arguments element, trigger, props, server, upload and watch; `texts` stands before. No text is ever set as
// HTML here.

const make = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
};

// An image as large as fits, for a layer over it whose positions are parts of it.
const makeFrame = () => {
  const image = make("img", { alt: "", draggable: false });
  const layer = make("div", { className: "mlnet-layer" });
  const frame = make("div", { className: "mlnet-frame" }, image, layer);
  const show = (src, alt, width, height) => {
    frame.hidden = !src;
    if (!src) return;
    if (image.getAttribute("src") !== src.url) image.src = src.url;
    image.alt = alt || "";
    frame.style.setProperty("--ratio", width / height);
  };
  return { frame, image, layer, show };
};

const percent = (share) => {
  const value = 100 * share;
  if (value > 0 && value < 0.05) return "< 0.1 %";
  return `${value >= 9.95 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
};
