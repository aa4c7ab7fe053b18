// A grid of thumbnails to choose from.

const render = () => {
  element.replaceChildren(
    make("div", { className: "mlnet-examples", role: "group", ariaLabel: "Examples" },
      ...(props.value || []).map(({ thumbnail, name }) =>
        make("button", { type: "button", title: name, ariaLabel: name, onclick: () => trigger("select", { index: name, value: name }) },
          make("img", { src: thumbnail.url, alt: "", width: 96, height: 96, loading: "lazy" })))),
  );
};
watch("value", render);
render();
