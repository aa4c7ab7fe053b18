// Images with words below them, each with a style of its own: a crop is a window of the whole image, by object-fit.

const render = () => {
  element.replaceChildren(
    make("div", { className: "mlnet-figures" },
      ...(Array.isArray(props.value) ? props.value : []).map(({ src, title, words, style }) =>
        make("figure", {},
          make("img", { src: src.url, alt: title, style: style || "" }),
          make("figcaption", {}, make("strong", { textContent: title }), ` ${words || ""}`)))),
  );
};
watch("value", render);
render();
