// The image with its map, the strongest spots numbered on it and named below it.

const { frame, layer, show } = makeFrame();
const words = make("div", { className: "mlnet-words", role: "status" });
element.replaceChildren(frame, words);

const render = () => {
  const { src, alt, width, height, sentence, spots = [] } = props.value || {};
  show(src, alt, width, height);
  layer.replaceChildren(
    ...spots.map(({ number, left, top }) =>
      make("span", { className: "mlnet-spot", textContent: number, style: `left:${100 * left}%;top:${100 * top}%` })),
  );
  layer.ariaHidden = "true";
  const lines = spots.map(({ number, text }) =>
    make("li", {}, make("span", { className: "mlnet-number", textContent: number, ariaHidden: "true" }), text));
  words.replaceChildren(make("p", { textContent: sentence || texts.empty }), make("ol", {}, ...lines));
};
watch("value", render);
render();
