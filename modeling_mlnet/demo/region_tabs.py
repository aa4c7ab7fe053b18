"""The tabs Regions and Compare: shares of boxes in one picture, and in two."""

from typing import Any

import gradio as gr

from .handlers import Handlers
from .limits import MAX_BOXES
from .messages import told
from .parts import LIGHT, NETWORK, TAKES, empty_when_changed, picture_input, prior_switch
from .tables import comparison_table, plain, regions_table

FIRST_CORNER = "Click or tap a corner of a box in the picture, then the opposite one; or type the boxes."
SHARES = (
    "**Share**: of all predicted attention. **Per area**: share over the box's part of the picture; 1 is what an even "
    "spread would give. **Rank**: by share."
)
POINTS = (
    "Both maps have one scale: attention per area, its highest value in either design being the brightest. "
    "**Points**: second minus first, in percent of all predicted attention of a design."
)


def boxes_input(elem_id: str, info: str) -> gr.Textbox:
    """Where boxes are typed."""
    return gr.Textbox(
        label=f"Boxes, one a line: x, y, width, height in pixels (at most {MAX_BOXES})",
        info=info,
        placeholder="title: 20, 10, 300, 80\nbutton: 40, 240, 120, 40",
        lines=4,
        max_lines=10,
        elem_id=elem_id,
    )


def download_pair(elem_id: str) -> list[gr.DownloadButton]:
    """JSON and CSV."""
    with gr.Row():
        return [
            gr.DownloadButton(name, interactive=False, size="sm", min_width=90, elem_id=f"{elem_id}-{name.lower()}")
            for name in ("JSON", "CSV")
        ]


def ready(files: list[str]) -> list[gr.DownloadButton]:
    """Buttons that give these files."""
    return [gr.DownloadButton(value=path, interactive=True) for path in files]


def no_files() -> list[dict[str, Any]]:
    """The buttons of `download_pair` while there is nothing to give."""
    return [gr.update(value=None, interactive=False)] * 2


class RegionsTab:
    """Components and events of the tab.

    Args:
        handlers: Of the page.
    """

    def __init__(self, handlers: Handlers):
        self.handlers = handlers
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                self.image = picture_input("Picture", "regions-picture")
                self.hint = gr.Markdown(FIRST_CORNER, elem_id="regions-hint")
                self.boxes = boxes_input("regions-boxes", "A name and a colon may come first.")
                self.prior = prior_switch("regions-prior")
                with gr.Row():
                    self.button = gr.Button("Measure", variant="primary", min_width=120, elem_id="regions-button")
                    self.clear = gr.Button("Remove all boxes", min_width=120, elem_id="regions-clear")
            with gr.Column(scale=3, min_width=280):
                self.shown = gr.Image(
                    label="Boxes, and the saliency map once measured",
                    interactive=False,
                    height=360,
                    buttons=["download", "fullscreen"],
                    elem_id="regions-shown",
                    alt_text="The picture with its boxes, once measured under its map; the shares are in the table",
                )
                self.table = gr.Markdown(SHARES, elem_id="regions-table")
                self.downloads = download_pair("regions-get")
        self.corner, self.kept = gr.State(None), gr.State(None)
        self._connect()

    def _connect(self) -> None:
        @told
        def measure(image: Any, boxes: Any, apply_prior: Any) -> list[Any]:
            rows, (picture, *files) = self.handlers.regions(image, boxes, apply_prior)
            return [picture, f"{regions_table(rows)}\n\n{SHARES}", *ready(files[:2])]

        @told
        def corner(image: Any, boxes: str, first: list[int] | None, click: gr.SelectData) -> list[Any]:
            x, y = (int(value) for value in click.index)
            if first is None:
                sketch = self.handlers.sketch(image, boxes, (x, y))
                return [gr.skip(), [x, y], f"First corner at {x}, {y}. Now the opposite corner.", sketch]
            left, top, width, height = min(x, first[0]), min(y, first[1]), abs(x - first[0]), abs(y - first[1])
            lines = [line for line in (boxes or "").splitlines() if line.strip()]
            hint = f"That box would have no area. {FIRST_CORNER}"
            if width and height:
                lines.append(f"{left}, {top}, {width}, {height}")
                hint = f"Box added. {FIRST_CORNER}"
            text = "\n".join(lines)
            return [text, None, hint, self.handlers.sketch(image, text)]

        outputs = [self.shown, self.table, *self.downloads]
        inputs = [self.image, self.boxes, self.prior]
        self.button.click(
            measure, inputs, outputs, preprocess=False, show_progress_on=[self.shown, self.table], **NETWORK
        )
        self.image.select(
            corner,
            [self.kept, self.boxes, self.corner],
            [self.boxes, self.corner, self.hint, self.shown],
            show_progress="hidden",
            **LIGHT,
        )
        emptied = [self.boxes, self.corner, self.hint]
        self.clear.click(lambda: ["", None, FIRST_CORNER], None, emptied, show_progress="hidden", **LIGHT)
        # a corner of one picture is none of the next
        self.image.change(
            lambda image: [image, None, FIRST_CORNER],
            [self.image],
            [self.kept, *emptied[1:]],
            preprocess=False,
            show_progress="hidden",
            **LIGHT,
        )
        empty_when_changed([self.image, self.prior], outputs, [None, SHARES, *no_files()])


class CompareTab:
    """Components and events of the tab.

    Args:
        handlers: Of the page.
    """

    def __init__(self, handlers: Handlers):
        self.handlers = handlers
        with gr.Row():
            with gr.Column(min_width=260):
                self.first = picture_input("First design", "compare-first")
            with gr.Column(min_width=260):
                self.second = picture_input("Second design", "compare-second")
        gr.Markdown(TAKES)
        self.boxes = boxes_input("compare-boxes", "In pixels of the first design. Without boxes: the nine ninths.")
        self.second_boxes = boxes_input(
            "compare-second-boxes",
            "In pixels of the second design, with the same names. Without boxes: the same places as in the first.",
        )
        self.prior = prior_switch("compare-prior")
        self.button = gr.Button("Compare", variant="primary", elem_id="compare-button")
        with gr.Row():
            self.shown = [
                gr.Image(
                    label=f"{which} design",
                    interactive=False,
                    height=300,
                    buttons=["download", "fullscreen"],
                    elem_id=f"compare-shown-{which.lower()}",
                    alt_text=f"The {which.lower()} design under its saliency map, on the scale of both",
                )
                for which in ("First", "Second")
            ]
        self.table = gr.Markdown(POINTS, elem_id="compare-table")
        self.downloads = download_pair("compare-get")

        @told
        def compare(first: Any, second: Any, boxes: Any, second_boxes: Any, apply_prior: Any) -> list[Any]:
            rows, notes, files = self.handlers.compare((first, second), boxes, second_boxes, apply_prior)
            first_overlay, second_overlay, json_file, csv_file, *_ = files
            text = "\n\n".join([comparison_table(rows), *(f"Note: {plain(note)}." for note in notes), POINTS])
            return [first_overlay, second_overlay, text, *ready([json_file, csv_file])]

        self.button.click(
            compare,
            [self.first, self.second, self.boxes, self.second_boxes, self.prior],
            [*self.shown, self.table, *self.downloads],
            preprocess=False,
            show_progress_on=self.shown,
            **NETWORK,
        )
        empty_when_changed(
            [self.first, self.second, self.prior],
            [*self.shown, self.table, *self.downloads],
            [None, None, POINTS, *no_files()],
        )
