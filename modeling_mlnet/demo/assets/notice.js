// What went wrong, in one line that stays until something goes right or it is closed. value: [line, when], or "".

const line = make("span", { role: "alert" });
const button = make("button", { type: "button", textContent: "Close", onclick: () => { props.value = ""; render(); } });
const box = make("div", { className: "mlnet-notice" }, line, button);
element.replaceChildren(box);
const render = () => {
  box.hidden = !props.value;
  line.textContent = props.value ? props.value[0] : "";
  if (props.value) box.scrollIntoView({ block: "nearest" });
};
watch("value", render);
render();

// Too large a file is refused before it travels, with a line that stays; gradio's own would go by itself.
const refuse = (event, files) => {
  const large = [...(files || [])].find((file) => file.size > texts.limit);
  if (!large) return;
  event.preventDefault();
  event.stopPropagation();
  if (event.type === "change") event.target.value = "";
  props.value = [`${large.name} has ${Math.round(large.size / 2 ** 20)} MB; files may have up to ${
    texts.limit / 2 ** 20} MB. Shrink it first.`, Date.now()];
  render();
};
document.addEventListener("change", (event) => refuse(event, event.target.files), true);
document.addEventListener("drop", (event) => refuse(event, event.dataTransfer?.files), true);
document.addEventListener("paste", (event) => refuse(event, event.clipboardData?.files), true);
