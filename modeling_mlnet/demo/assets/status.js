// Words that are read out when they change. The server makes the HTML and escapes what visitors wrote.

const words = make("div", { role: "status" });
element.replaceChildren(words);
const render = () => { words.innerHTML = props.value || ""; };
watch("value", render);
render();
