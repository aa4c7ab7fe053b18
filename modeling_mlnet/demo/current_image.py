"""The image at hand with its settings, which all tabs share, and how the page's functions run."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ..io.json_types import JsonObject
from ..io.overlay import OPACITY
from .answers import Answers
from .components import BROWSER, LIGHT, NETWORK, PRIVATE, Updates, custom, script
from .gaps import caught, in_one_line
from .results import COLORMAPS, VIEWS, Result, Settings
from .uploads import MAX_UPLOAD, Upload
from .values import SHAPES, USUAL_SHAPES, image_values, viewer_value

EMPTY = "Choose an image, paste one with Ctrl+V, or take an example."
NO_ANSWER = "No answer came: the server is busy or out of reach. Try again in a minute."
NO_IMAGE = "Choose an image first."
Triggers = Callable[..., Any] | Sequence[Callable[..., Any]]


class CurrentImage:
    """The components that several tabs use, not placed yet.

    Args:
        answers: What the page can do.
        examples: Images to offer, by name; the first is answered before anybody comes.
    """

    def __init__(self, answers: Answers, examples: dict[str, Path]):
        self.answers = answers
        self.examples = {name: Upload(path, path.name) for name, path in examples.items()}
        self.first = next(iter(examples), None)
        self.start: JsonObject = {}
        if self.first is not None:
            result = answers.open(self.examples[self.first])
            self.start = image_values(answers, result, self.first, VIEWS[0], OPACITY, COLORMAPS[0])
        models, later = answers.models, {"render": False}
        kinds = models.recordings(models.default)
        self.notice = custom("notice", "", "notice", limit=MAX_UPLOAD, **later)
        self.given = gr.State(self.start.get("given"), **later)
        self.image = gr.Image(
            self.start.get("image"),
            label="Image",
            sources=["upload", "webcam", "clipboard"],
            type="filepath",
            image_mode=None,
            height=220,
            elem_id="image",
            buttons=[],
            placeholder="Drop an image here",
            alt_text="The image at hand",
            **later,
        )
        self.viewer = custom("viewer", self.start.get("viewer", {}), "viewer", empty=EMPTY, **later)
        bare = {"show_label": False, "container": False, **later}
        self.view = gr.Radio(list(VIEWS), value=VIEWS[0], label="View", elem_id="view", **bare)
        self.opacity = gr.Slider(0, 1, OPACITY, step=0.05, label="Opacity of the heat map", elem_id="opacity", **later)
        self.colormap = gr.Radio(list(COLORMAPS), value=COLORMAPS[0], label="Colour map", elem_id="colormap", **later)
        self.shapes = gr.CheckboxGroup(list(SHAPES), value=USUAL_SHAPES, label="Shapes", elem_id="crop-shapes", **later)
        self.model = gr.Dropdown(
            list(models.choices), value=models.default, label="Model", interactive=True, elem_id="model", **later
        )
        self.recording = gr.Dropdown(
            kinds,
            value=next(iter(kinds), None),
            label="Kind of recording",
            info="Whose ground truth is predicted.",
            visible=bool(kinds),
            interactive=True,
            elem_id="recording",
            **later,
        )
        self.prior = gr.Checkbox(
            True, label="Apply the prior", info="What the network expects before it looks.", elem_id="prior", **later
        )
        self.settings = [self.model, self.recording, self.prior]
        self.followers = [self._follow]

    def _follow(self, values: JsonObject) -> Updates:
        model, recording, _ = values.get("settings", Settings())
        kinds = self.answers.models.recordings(model or self.answers.models.default)
        return {
            self.given: values.get("given"),
            self.image: values.get("image"),
            self.viewer: values.get("viewer", {}),
            self.recording: gr.update(choices=kinds, value=recording, visible=bool(kinds)) if values else gr.skip(),
        }

    def update(self, values: JsonObject) -> Updates:
        """What all tabs show of another image, from `image_values`; of empty `values`, nothing."""
        return {component: value for follow in self.followers for component, value in follow(values).items()}

    def on(
        self,
        triggers: Triggers,
        function: Callable[..., dict],
        inputs: Sequence[gr.components.Component],
        outputs: Sequence[gr.components.Component],
        cleared: Callable[[], Updates] = dict,
        follows: bool = False,
        **options: Any,
    ) -> gr.events.Dependency:
        """Runs a function of the page, whose error is a line on the page until a function succeeds.

        Args:
            triggers: As in `gr.on`.
            function: Gives new values by component.
            inputs: Components that it takes.
            outputs: Components that it, or `cleared`, gives values of.
            cleared: Gives what components show after an error.
            follows: Whether it follows from another function, whose line it must not take away.
            options: As in `gr.on`; by default the function does not need the network.
        """
        said = {self.notice: gr.skip() if follows else ""}  # an empty dictionary would be taken for a value

        def failed(error: Exception) -> dict:
            return {self.notice: in_one_line(error, function.__name__), **cleared()}

        answered = caught(function, failed, lambda values: {**said, **values})
        listen = triggers if callable(triggers) else partial(gr.on, triggers)
        event = listen(answered, list(inputs), [self.notice, *outputs], **{**LIGHT, **options})
        # No answer at all comes, for example, when the queue is full.
        event.failure(None, None, [self.notice], js=f"() => {NO_ANSWER!r}", **BROWSER)
        return event

    def on_image(
        self,
        triggers: Triggers,
        function: Callable[..., dict],
        inputs: Sequence[gr.components.Component],
        outputs: Sequence[gr.components.Component],
        needed: bool = False,
        **options: Any,
    ) -> gr.events.Dependency:
        """As `on`, for a function whose first argument is the `Result` of the image at hand.

        Args:
            triggers: As in `on`.
            function: As in `on`; it does not run without an image.
            inputs: Its further arguments.
            outputs: As in `on`.
            needed: Whether it is a mistake if there is no image.
            options: As in `on`.
        """

        def answer(given: Upload | None, model: str, recording: str, prior: bool, *values: Any) -> dict:
            if given is not None:
                return function(self.answers.open(given, Settings(model, recording, prior)), *values)
            if needed:
                raise ValueError(NO_IMAGE)
            return {}

        return self.on(triggers, answer, [self.given, *self.settings, *inputs], outputs, **options)

    def connect(self, files: Sequence[tuple[gr.components.Component, Triggers]], examples: gr.HTML | None) -> None:
        """Connects what opens an image, and what predicts it anew, when all tabs follow.

        Args:
            files: Components whose value is an image file, and their events.
            examples: Thumbnails to choose from.
        """
        answers, nothing = self.answers, self.update({})
        look = [self.view, self.opacity, self.colormap, self.shapes]
        options = {"show_progress_on": [self.viewer], **NETWORK}
        opening = {"cleared": lambda: self.update({}), "preprocess": False, **options}

        def show(upload: Upload, example: str | None, model: str, recording: str, prior: bool, *look: Any) -> Updates:
            result = answers.open(upload, Settings(model, recording, prior))
            return self.update(image_values(answers, result, example, *look))

        def take(payload: object, *settings_and_look: Any) -> Updates:
            return show(answers.receive(payload), None, *settings_and_look) if payload else self.update({})

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

        def recolor(result: Result, viewer: JsonObject | None, view: str, opacity: object, colormap: object) -> Updates:
            value = viewer_value(answers, result, (viewer or {}).get("example"), view, opacity, colormap)
            overlay = answers.save(f"{result.stem}.overlay.png", result.draw("Heat", opacity, colormap))
            return {self.viewer: value, self.overlay: overlay}

        inputs = [*self.settings, *look]
        events = [self.on(trigger, take, [component, *inputs], nothing, **opening) for component, trigger in files]
        if examples is not None:
            events.append(self.on(examples.select, pick, inputs, nothing, **opening))
        for event in events:
            event.then(None, [self.notice], None, js=script("scroll"), **BROWSER)
        changed = [setting.input for setting in self.settings]
        events.append(self.on_image(changed, refresh, [self.viewer, *look], nothing, **options))
        # First, as an answer for that image may be awaited.
        self.image.clear(None, cancels=events, **PRIVATE)
        self.on(self.image.clear, lambda: self.update({}), [], nothing, queue=False)
        looks = [self.view.input, self.opacity.release, self.opacity.input, self.colormap.input]
        outputs = [self.viewer, self.overlay]
        self.on_image(looks, recolor, [self.viewer, *look[:3]], outputs, trigger_mode="always_last")
