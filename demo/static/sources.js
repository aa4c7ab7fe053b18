/** Where images come from, and files go: the file chooser, paste, drop, the camera, downloads. */

const $ = (selector) => document.querySelector(selector);

/**
 * @param {(file: Blob) => void} give Gets every image that is opened, pasted or dropped.
 * @param {(text: string) => void} complain
 */
export function onImageGiven(give, complain) {
  $("#file").addEventListener("change", ({ target }) => {
    if (target.files.length) give(target.files[0]);
    target.value = ""; // so that the same file can be opened again
  });
  const giveFirst = (files) => {
    const file = [...files].find(({ type }) => type.startsWith("image/")) ?? files[0];
    if (file) give(file);
    else complain("There is no image in what was pasted or dropped.");
  };
  document.addEventListener("paste", (event) => {
    if (event.target.closest?.("input:not([type=file])")) return;
    event.preventDefault();
    giveFirst(event.clipboardData.files);
  });
  $("#paste").hidden = !navigator.clipboard?.read;
  $("#paste").addEventListener("click", async () => {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((name) => name.startsWith("image/"));
        if (type) return give(new File([await item.getType(type)], "pasted.png", { type }));
      }
      complain("There is no image in the clipboard.");
    } catch (error) {
      complain(`The clipboard cannot be read: ${error.message}`);
    }
  });
  const drag = (isDragging) => (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("dragging", isDragging);
    if (event.type === "drop") giveFirst(event.dataTransfer.files);
  };
  document.addEventListener("dragover", drag(true));
  document.addEventListener("dragleave", drag(false));
  document.addEventListener("drop", drag(false));
}

/** An image of the camera, `null` if that is cancelled. */
export async function takePhoto() {
  if (!navigator.mediaDevices) throw new Error("this browser offers one to pages over https only");
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  const dialog = $("#camera-dialog");
  const video = dialog.querySelector("video");
  video.srcObject = stream;
  dialog.showModal();
  try {
    const answer = await new Promise((resolve) => {
      dialog.onclick = ({ target }) => target.value && resolve(target.value);
      dialog.oncancel = () => resolve("cancel");
    });
    return answer === "take" ? await createImageBitmap(video) : null;
  } finally {
    dialog.close();
    video.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  }
}

/** A name that the user gives, `null` if that is cancelled. */
export function askName(proposal) {
  const dialog = $("#name-dialog");
  $("#name").value = proposal;
  dialog.returnValue = "cancel";
  dialog.showModal();
  $("#name").select();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "save" ? $("#name").value : null);
  });
}

/**
 * @param {ImageData | object} content An image, which becomes PNG, or what becomes JSON.
 * @param {string} name
 * @param {{x: number, y: number, width: number, height: number}} part Of the image.
 */
export async function download(content, name, part) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof ImageData ? await png(content, part) : json(content));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function png(image, { x = 0, y = 0, width = image.width, height = image.height } = {}) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(image, -x, -y);
  return canvas.convertToBlob();
}

function json(content) {
  return new Blob([JSON.stringify(content, null, 2)], { type: "application/json" });
}
