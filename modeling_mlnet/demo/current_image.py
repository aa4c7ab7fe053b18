"""The image at hand with its settings, which all tabs share, and how the page's functions run."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from ..io.json_types import JsonObject
from ..io.overlay import OPACITY
from .answers import Answers
from .components import AT_ONCE, EVERY, LIGHT, NETWORK, PRIVATE, Updates, custom, script
from .files import MAX_UPLOAD, Upload
from .gaps import caught, in_one_line
from .results import COLORMAPS, VIEWS, Result, Settings
from .values import SHAPES, USUAL_SHAPES, crops_value, image_values, save_image, viewer_value

EMPTY = "Choose an image, paste one with Ctrl+V, or take an example."
PRIOR = "What the network expects before it looks."
Triggers: TypeAlias = Callable[..., Any] | Sequence[Callable[..., Any]]
Shown: TypeAlias = tuple[Upload, Settings]
Components: TypeAlias = Iterable[gr.components.Component]


class CurrentImage:
    """The components that several tabs use, not placed yet; the first example is answered before anybody comes."""

    overlay: gr.DownloadButton  # of the tab Map
    boxes: gr.Textbox  # of the tab Regions

    def __init__(self, answers: Answers, examples: dict[str, Path]):
        self.answers = answers
        self.examples = {name: Upload(path, path.name) for name, path in examples.items()}
        self.first = next(iter(examples), None)
        answers.names = {upload: name for name, upload in self.examples.items()}
        self.start: JsonObject = {}
        if self.first is not None:
            result = answers.open(self.examples[self.first])
            self.start = image_values(answers, result, USUAL_SHAPES, VIEWS[0], OPACITY, COLORMAPS[0])
        later: dict[str, Any] = {"render": False}
        self.notice = custom("notice", "", "notice", {"limit": MAX_UPLOAD}, **later)
        self.wanted = gr.State(self.first and self.examples[self.first], **later)  # the upload that was chosen last
        self.shown = gr.State(self.start.get("shown"), **later)  # an upload and its settings
        self.crops = custom("figures", self.start.get("crops", []), "crops", **later)
        self.crop_file = gr.DownloadButton("Download (ZIP)", visible=False, elem_id="crop-get", **later)
        sources = {"sources": ["upload", "webcam", "clipboard"], "type": "filepath", "image_mode": None}
        texts = {"label": "Image", "placeholder": "Drop an image here", "alt_text": "The image at hand"}
        options = {"height": 220, "elem_id": "image", "buttons": [], **later}
        self.image = gr.Image(self.start.get("image"), **sources, **texts, **options)
        self.viewer = custom("viewer", self.start.get("viewer", {}), "viewer", {"empty": EMPTY}, **later)
        bare = {"show_label": False, "container": False, **later}
        self.view = gr.Radio(list(VIEWS), value=VIEWS[0], label="View", elem_id="view", **bare)
        self.opacity = gr.Slider(0, 1, OPACITY, step=0.05, label="Opacity of the heat map", elem_id="opacity", **later)
        self.colormap = gr.Radio(list(COLORMAPS), value=COLORMAPS[0], label="Colour map", elem_id="colormap", **later)
        self.shapes = gr.CheckboxGroup(SHAPES, value=USUAL_SHAPES, label="Shapes", elem_id="crop-shapes", **later)
        self.model = gr.Dropdown([*answers.models.choices], label="Model", interactive=True, elem_id="model", **later)
        self.prior = gr.Checkbox(True, label="Apply the prior", info=PRIOR, elem_id="prior", **later)
        self.settings = [self.model, self.prior]
        self.asked: list[gr.events.Dependency] = []  # by a button, about the image at hand
        self.followers: list[Callable[[JsonObject], Updates]] = [
            lambda values: {
                self.shown: values.get("shown"),
                self.image: gr.skip() if values.get("again") else values.get("image"),
                self.viewer: values.get("viewer", {}),
                **self.update_crops(values.get("crops", [])),
            }
        ]

    def update_crops(self, crops: list[JsonObject]) -> Updates:
        """The tab Crop with these, without a file of them."""
        return {self.crops: crops, self.crop_file: gr.update(visible=False)}

    def update(self, values: JsonObject) -> Updates:
        """What all tabs show of another image, from `image_values`; of empty `values`, nothing."""
        return {component: value for follow in self.followers for component, value in follow(values).items()}

    def on(
        self,
        triggers: Triggers,
        function: Callable[..., Any],
        inputs: Components,
        outputs: Components,
        cleared: Callable[[], Updates] = dict,
        follows: bool = False,
        **options: Any,
    ) -> gr.events.Dependency:
        """As `gr.on`, for a function that gives values by component and, by default, does not need the network.

        Its error is a line on the page, and components show what `cleared` gives, until a function succeeds. One that
        `follows` from another does not take its line away.
        """
        said = {self.notice: gr.skip() if follows else ""}  # an empty dictionary would be taken for a value

        def failed(error: Exception) -> dict:
            return {self.notice: [in_one_line(error, function.__name__), time.time()], **cleared()}

        answered = caught(function, failed, lambda values: {**said, **values})
        listen = triggers if callable(triggers) else partial(gr.on, triggers)
        event = listen(answered, list(inputs), [self.notice, *outputs], **{**LIGHT, **options})
        event.failure(None, [self.notice], [self.notice], js=script("no_answer"), **AT_ONCE)
        return event

    def on_image(
        self,
        triggers: Triggers,
        function: Callable[..., Updates],
        inputs: Components,
        outputs: Components,
        needed: bool = False,
        **options: Any,
    ) -> gr.events.Dependency:
        """As `on`, for a function whose first argument is the `Result` that is shown.

        Without one, or if another image is wanted already, it does not run, which is an error if it is `needed`.
        """

        def answer(wanted: Upload | None, shown: Shown | None, viewer: JsonObject | None, *values: Any) -> Updates:
            seen = (viewer or {}).get("image")  # after a restart of the server it is not what is `shown`
            if shown is not None and shown[0] == wanted and seen == wanted.name:
                return function(self.answers.open(*shown), *values)
            if needed:
                raise ValueError("Wait for the new image, or choose it again." if seen else "Choose an image first.")
            return {}

        answer.__name__ = function.__name__  # for the log
        event = self.on(triggers, answer, [self.wanted, self.shown, self.viewer, *inputs], outputs, **options)
        if needed:
            self.asked.append(event)
        return event

    def connect(self, files: Sequence[gr.components.Component], examples: gr.HTML | None) -> None:
        """Connects what opens an image, files or the thumbnails of examples, and what predicts it anew.

        All tabs must be there, as they follow. Whatever is changed while an answer is awaited, the last wish is shown.
        """
        answers, outputs = self.answers, [self.wanted, *self.update({})]

        def clear() -> Updates:
            return {self.wanted: None, **self.update({})}

        def take(payload: object) -> Updates:
            return {self.wanted: answers.files.receive(payload)} if payload else clear()

        def pick(event: gr.SelectData) -> Updates:
            if event.value not in self.examples:
                raise ValueError("This example is not offered any more.")
            return {self.wanted: self.examples[event.value]}

        def show(wanted: Upload | None, shown: Shown | None, model: str, prior: bool, *look: Any) -> Updates:
            if wanted is None:  # cleared already, unless an answer came later
                return self.update({}) if shown else {}
            result, again = answers.open(wanted, Settings(model, prior)), shown is not None and shown[0] == wanted
            return {self.notice: "", **self.update(image_values(answers, result, *look, again=again))}

        def settle(result: Result, viewer: JsonObject, crops: Any, shapes: list[str], *look: Any) -> Updates:
            changes: Updates = {}
            if viewer.get("look") != [*look]:
                overlay = answers.files.save(f"{result.stem}.overlay.png", result.draw("Heat", *look[1:]))
                changes |= {self.viewer: viewer_value(answers, result, *look), self.overlay: overlay}
            if {crop["title"] for crop in crops or []} != set(shapes):
                changes |= self.update_crops(crops_value(result, save_image(answers, result), shapes))
            return changes

        look = [self.shapes, self.view, self.opacity, self.colormap]
        changed = [setting.input for setting in self.settings]
        # What is asked about an image, or with a setting, that is changed meanwhile is not waited for.
        gr.on([self.wanted.change, *changed], None, js=script("cancelled"), cancels=self.asked, **PRIVATE)
        # `input` would also be sent for an image that is removed, sometimes with that image
        events = [self.on(file.upload, take, [file], outputs, clear, preprocess=False, **EVERY) for file in files]
        if examples is not None:
            events.append(self.on(examples.select, pick, [], outputs, clear, **EVERY))
        for event in events:
            event.then(None, [self.notice], None, js=script("scroll"), **AT_ONCE)
        self.on(self.image.clear, clear, [], outputs)
        options = {**NETWORK, "show_progress_on": [self.viewer], "trigger_mode": "always_last"}
        inputs = [self.wanted, self.shown, *self.settings, *look]
        showing = self.on([self.wanted.change, *changed], show, inputs, outputs, clear, follows=True, **options)
        looks = [self.view.input, self.opacity.release, self.opacity.input, self.colormap.input, self.shapes.input]
        inputs, outputs = [self.viewer, self.crops, *look], [self.viewer, self.overlay, self.crops, self.crop_file]
        self.on_image(looks, settle, inputs, outputs, trigger_mode="always_last")
        self.on_image(showing.then, settle, inputs, outputs, follows=True)
