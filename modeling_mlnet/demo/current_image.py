"""The image at hand with its settings, which all tabs share, and how the page's functions run."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from ..io.json_types import JsonObject
from ..io.overlay import OPACITY
from .answers import Answers
from .components import AT_ONCE, LIGHT, NETWORK, PRIVATE, Updates, custom, script
from .files import MAX_UPLOAD, Upload
from .gaps import caught, in_one_line
from .results import COLORMAPS, VIEWS, Result, Settings, check_look
from .values import SHAPES, USUAL_SHAPES, image_values, viewer_value

EMPTY = "Choose an image, paste one with Ctrl+V, or take an example."
Triggers: TypeAlias = Callable[..., Any] | Sequence[Callable[..., Any]]
Components: TypeAlias = Iterable[gr.components.Component]


class CurrentImage:
    """The components that several tabs use, not placed yet; the first example is answered before anybody comes."""

    overlay: gr.DownloadButton  # of the tab Map
    boxes: gr.Textbox  # of the tab Regions

    def __init__(self, answers: Answers, examples: dict[str, Path]):
        self.answers = answers
        self.examples = {name: Upload(path, path.name) for name, path in examples.items()}
        self.first = next(iter(examples), None)
        self.start: JsonObject = {}
        if self.first is not None:
            result = answers.open(self.examples[self.first])
            self.start = image_values(answers, result, self.first, VIEWS[0], OPACITY, COLORMAPS[0])
        models, later = answers.models, {"render": False}
        self.notice = custom("notice", "", "notice", {"limit": MAX_UPLOAD}, **later)
        self.given = gr.State(self.start.get("given"), **later)
        sources = {"sources": ["upload", "webcam", "clipboard"], "type": "filepath", "image_mode": None}
        texts = {"label": "Image", "placeholder": "Drop an image here", "alt_text": "The image at hand"}
        options = {"height": 220, "elem_id": "image", "buttons": [], **later}
        self.image = gr.Image(self.start.get("image"), **sources, **texts, **options)
        self.viewer = custom("viewer", self.start.get("viewer", {}), "viewer", {"empty": EMPTY}, **later)
        bare = {"show_label": False, "container": False, **later}
        self.view = gr.Radio(list(VIEWS), value=VIEWS[0], label="View", elem_id="view", **bare)
        self.opacity = gr.Slider(0, 1, OPACITY, step=0.05, label="Opacity of the heat map", elem_id="opacity", **later)
        self.colormap = gr.Radio(list(COLORMAPS), value=COLORMAPS[0], label="Colour map", elem_id="colormap", **later)
        self.shapes = gr.CheckboxGroup(
            list(SHAPES), value=USUAL_SHAPES, label="Shapes", elem_id="crop-shapes", **later
        )
        self.model = gr.Dropdown(
            list(models.choices), value=models.default, label="Model", interactive=True, elem_id="model", **later
        )
        self.prior = gr.Checkbox(
            True, label="Apply the prior", info="What the network expects before it looks.", elem_id="prior", **later
        )
        self.settings = [self.model, self.prior]
        self.asked: list[gr.events.Dependency] = []  # about the image at hand
        self.followers: list[Callable[[JsonObject], Updates]] = [
            lambda values: {
                self.given: values.get("given"),
                self.image: values.get("image"),
                self.viewer: values.get("viewer", {}),
            }
        ]

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
            return {self.notice: in_one_line(error, function.__name__), **cleared()}

        answered = caught(function, failed, lambda values: {**said, **values})
        listen = triggers if callable(triggers) else partial(gr.on, triggers)
        event = listen(answered, list(inputs), [self.notice, *outputs], **{**LIGHT, **options})
        event.failure(None, None, [self.notice], js=script("no_answer"), **AT_ONCE)
        return event

    def on_image(
        self,
        triggers: Triggers,
        function: Callable[..., Updates],
        inputs: Components,
        outputs: Components,
        **options: Any,
    ) -> gr.events.Dependency:
        """As `on`, for a function whose first argument is the `Result` of the image at hand.

        Without an image it does not run, which is a mistake if one is `needed`.
        """
        needed = options.pop("needed", False)

        def answer(given: Upload | None, model: str, prior: bool, *values: Any) -> Updates:
            if given is not None:
                return function(self.answers.open(given, Settings(model, prior)), *values)
            if needed:
                raise ValueError("Choose an image first.")
            return {}

        answer.__name__ = function.__name__  # for the log
        self.asked.append(self.on(triggers, answer, [self.given, *self.settings, *inputs], outputs, **options))
        return self.asked[-1]

    def connect(self, files: Components, examples: gr.HTML | None) -> None:
        """Connects what opens an image, files or the thumbnails of examples, and what predicts it anew.

        All tabs must be there, as they follow.
        """
        answers, outputs = self.answers, list(self.update({}))

        def clear() -> Updates:
            return self.update({})

        def show(upload: Upload, example: str | None, model: str, prior: bool, *look: Any) -> Updates:
            check_look(*look[:3])
            result = answers.open(upload, Settings(model, prior))
            return self.update(image_values(answers, result, example, *look))

        def take(payload: object, *settings_and_look: Any) -> Updates:
            return show(answers.files.receive(payload), None, *settings_and_look) if payload else clear()

        def pick(event: gr.SelectData, *settings_and_look: Any) -> Updates:
            if event.value not in self.examples:
                raise ValueError("This example is not offered any more.")
            return show(self.examples[event.value], event.value, *settings_and_look)

        def refresh(result: Result, viewer: JsonObject | None, *look: Any) -> Updates:
            values = image_values(answers, result, (viewer or {}).get("example"), *look)
            values["regions"]["boxes"] = None
            changes = self.update(values)
            del changes[self.image]
            return changes

        def recolor(result: Result, viewer: JsonObject | None, view: str, *look: Any) -> Updates:
            value = viewer_value(answers, result, (viewer or {}).get("example"), view, *look)
            overlay = answers.files.save(f"{result.stem}.overlay.png", result.draw("Heat", *look))
            return {self.viewer: value, self.overlay: overlay}

        look = [self.view, self.opacity, self.colormap, self.shapes]
        inputs, options = [*self.settings, *look], {"cleared": clear, "show_progress_on": [self.viewer], **NETWORK}
        opening = {**options, "preprocess": False}
        # `input` would also be sent for an image that is removed, sometimes with that image
        events = [self.on(file.upload, take, [file, *inputs], outputs, **opening) for file in files]
        if examples is not None:
            events.append(self.on(examples.select, pick, inputs, outputs, **opening))
        for event in events:
            event.then(None, [self.notice], None, js=script("scroll"), **AT_ONCE)
        options["trigger_mode"] = "always_last"
        self.on_image([setting.input for setting in self.settings], refresh, [self.viewer, *look], outputs, **options)
        looks = [self.view.input, self.opacity.release, self.opacity.input, self.colormap.input]
        shown = [self.viewer, self.overlay]
        self.on_image(looks, recolor, [self.viewer, *look[:3]], shown, trigger_mode="always_last")
        # First, as answers for that image may be awaited.
        self.image.clear(None, cancels=[*events, *self.asked], **PRIVATE)
        self.on(self.image.clear, clear, [], outputs, queue=False)
