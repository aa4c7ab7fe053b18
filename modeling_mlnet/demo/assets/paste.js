// An image pasted anywhere on the page, or dropped where nothing else takes it, becomes the image at hand; of another
// file the server says what it is. A text for a text field, with which a spreadsheet sends its image, goes there.

const take = async (event, files) => {
  const file = [...(files || [])].find(({ type }) => type.startsWith("image/")) || files?.[0];
  const isText = event.clipboardData?.types.includes("text/plain") && event.target.closest?.("textarea, input");
  if (!file || isText || event.defaultPrevented) return;
  event.preventDefault();
  const { path, url } = await upload(file);
  props.value = { path, url, orig_name: file.name, meta: { _type: "gradio.FileData" } };
  trigger("upload");
};
document.addEventListener("paste", (event) => take(event, event.clipboardData?.files));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => take(event, event.dataTransfer?.files));
