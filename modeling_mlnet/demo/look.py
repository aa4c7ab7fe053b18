"""Colours and layout of the page: system fonts, so that it needs no network; contrasts of at least 4.5 to 1."""

import gradio as gr

CSS = """
.gradio-container { max-width: min(1100px, 100%) !important; margin: 0 auto !important; }
.gradio-container > .main, .gradio-container > .main > .wrap, main { min-width: 0; max-width: 100%; }
.gradio-container a { text-decoration: underline; }
.narrow { max-width: 46rem; }
.tab-container button.selected { color: #1d4ed8 !important; }
.dark .tab-container button.selected { color: #93c5fd !important; }
.prose table { width: 100%; }
.prose td, .prose th { padding: 0.3rem 0.5rem; text-align: left; overflow-wrap: anywhere; }
.prose th { overflow-wrap: normal; }
:focus-visible { outline: 3px solid #1d4ed8 !important; outline-offset: 2px; }
.dark :focus-visible { outline-color: #93c5fd !important; }
@media (max-width: 640px) {
  .tab-container button { padding: 0 0.35rem !important; font-size: 0.85rem !important; }
  .gradio-container main { padding: 0.75rem !important; }
  .gradio-container { padding: 0.5rem !important; }
}
#model-card, #model-card .column { min-width: 0 !important; max-width: 100%; }
.card { min-width: 0; overflow-x: auto; }
.card table { display: block; overflow-x: auto; font-size: 0.85rem; }
.card pre { overflow-x: auto; }
.card pre, .card pre *, .card code { color: inherit !important; }
.status .pending { opacity: 1 !important; }
.prose progress { width: 100%; accent-color: #1d4ed8; }
"""

# gradio's slider between two pictures has no alternative texts of its own, which come from the words beside it, and
# moves with the pointer only: arrow keys, Home and End become the pointer's events. What changes by itself is read
# out: gradio only says that it loads, and then the name of a phrase that it does not have. A link to the closed model
# card opens it.
SCRIPT = """
() => {
  const spoken = ["predict-status", "predict-words", "regions-hint", "regions-table", "compare-table", "why-words",
                  "video-status", "video-cancelled"];
  const describe = () => {
    const pictures = document.querySelectorAll("#predict-slider img");
    const words = document.querySelector("#predict-words");
    const texts = ["The picture", "The picture under its saliency map. " + (words ? words.innerText : "")];
    pictures.forEach((picture, index) => {
      const text = texts[Math.min(index, 1)];
      if (picture.alt !== text) picture.alt = text;
    });
    document.querySelectorAll("#predict-slider .outer:not([tabindex])").forEach(operate);
    spoken.map((name) => document.getElementById(name)).filter((one) => one && !one.role).forEach((one) => {
      one.role = "status";
      one.ariaLive = "polite";
    });
    document.querySelectorAll("progress").forEach((one) => { one.ariaLabel ||= "Frames rendered"; });
    const status = document.getElementById("video-status");
    if (status) status.ariaLive = status.querySelector("progress") ? "off" : "polite";
    document.querySelectorAll("[aria-live]").forEach((one) => {
      if (one.childElementCount === 0 && one.textContent === "common.complete") one.textContent = "Done";
    });
  };
  const operate = (handle) => {
    const frame = () => handle.parentElement.getBoundingClientRect();
    const centre = () => { const box = handle.getBoundingClientRect(); return box.left + box.width / 2; };
    const tell = () => handle.setAttribute(
      "aria-valuenow", Math.round(100 * Math.min(1, Math.max(0, (centre() - frame().left) / frame().width))));
    const point = (target, type, x) => target.dispatchEvent(new MouseEvent(
      type, {view: window, bubbles: true, cancelable: true, clientX: x, clientY: handle.getBoundingClientRect().top}));
    const marks = {tabindex: 0, role: "slider", "aria-label": "Divider between the picture and its overlay",
                   "aria-valuemin": 0, "aria-valuemax": 100};
    Object.entries(marks).forEach(([name, value]) => handle.setAttribute(name, value));
    tell();
    new MutationObserver(tell).observe(handle, {attributes: true, attributeFilter: ["style"]});
    handle.addEventListener("keydown", (event) => {
      const {left, width} = frame();
      const places = {ArrowLeft: centre() - width / 20, ArrowRight: centre() + width / 20, Home: left,
                      End: left + width};
      if (!(event.key in places)) return;
      event.preventDefault();
      const x = Math.min(left + width, Math.max(left, places[event.key]));
      point(handle, "mousedown", centre());
      point(window, "mousemove", x);
      point(window, "mouseup", x);
    });
  };
  document.addEventListener("click", (event) => {
    const card = document.getElementById("model-card");
    const header = card && card.querySelector("button[aria-expanded=false], button:not(.open)");
    if (event.target.closest("a[href='#model-card']") && header && !header.classList.contains("open")) header.click();
  });
  new MutationObserver(describe).observe(document.body, {childList: true, subtree: true, characterData: true});
  describe();
}
"""


def theme() -> gr.themes.Base:
    """Calm and legible, light and dark."""
    return gr.themes.Default(
        primary_hue="blue",
        secondary_hue="blue",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )
