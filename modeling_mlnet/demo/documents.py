"""Files to download: crops of an image, a report on many."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from zipfile import ZipFile

from ..analysis import (
    Answer,
    ImageFile,
    Model,
    ReportRow,
    best_crop,
    crops_document,
    focus,
    report_html,
    report_rows,
    to_csv,
    to_json,
)
from ..images_mlnet import open_image
from ..inference.uploads import check_upload
from .handlers import Handlers, MapSettings
from .limits import Upload

MAX_FILES = 200  # images of a report


def write_crops(handlers: Handlers, upload: Upload, shapes: Sequence[str], settings: MapSettings) -> str:
    """A ZIP file of an image's crops at its full resolution, and crops.json.

    Raises:
        ValueError: As `open` and `best_crop`.
    """
    result, store = handlers.open(upload, settings), handlers.store(settings)
    crops = [best_crop(result.saliency_map, shape, result.size) for shape in shapes]
    check_upload(upload.path, upload.name)
    whole = open_image(upload.path)
    if whole.mode not in ("L", "LA", "P", "RGB", "RGBA"):
        whole = whole.convert("RGB")
    kind = "JPEG" if whole.mode in ("L", "RGB") and "transparency" not in whole.info else "PNG"
    path = store.place(f"{result.stem}.crops.zip")
    with ZipFile(path, "w") as archive:
        for crop in crops:
            part = whole.crop((crop.x, crop.y, crop.x + crop.width, crop.y + crop.height))
            name = f"{result.stem}.{crop.aspect.replace(':', 'x')}.{'jpg' if kind == 'JPEG' else 'png'}"
            with archive.open(name, "w") as file:
                part.save(file, kind, quality=92)
        described = ImageFile.describe(result.name, upload.path.read_bytes(), result.size)
        archive.writestr("crops.json", to_json(crops_document(described, crops, _model(handlers, settings))))
    return str(path)


def _model(handlers: Handlers, settings: MapSettings) -> Model:
    name = settings.model or handlers.models.default
    described = Model.describe(handlers.models.choices[name], bool(settings.apply_prior), "off")
    return replace(described, name=name)  # as the page calls it


def write_report(
    handlers: Handlers, uploads: Sequence[Upload], settings: MapSettings
) -> Iterator[tuple[int, tuple[str, str, str] | None]]:
    """Ranks images.

    Yields:
        How many are done and `None`; at the end the page as text, and files of it and of its CSV.

    Raises:
        ValueError: If none can be read, or there are too many.
    """
    if not 1 <= len(uploads) <= MAX_FILES:
        raise ValueError(f"Choose a folder or several images, at most {MAX_FILES}; these are {len(uploads)}.")
    rows, problems = [], []
    for number, upload in enumerate(uploads):
        yield number, None
        try:
            result = handlers.open(upload, settings)
        except ValueError as error:
            problems.append(str(error))
            continue
        described = ImageFile.describe(result.name, upload.path.read_bytes(), result.size)
        answer = Answer(described, focus(result.saliency_map))
        rows.append(ReportRow.from_map(answer, result.name, result.image, result.saliency_map))
    if not rows:
        raise ValueError(problems[0])
    page = report_html(rows, "Predicted attention", _model(handlers, settings), problems)
    store = handlers.models.store()
    paths = store.place("report.html"), store.place("report.csv")
    for path, text in zip(paths, (page, to_csv(report_rows(rows))), strict=True):
        path.write_text(text, encoding="utf-8")
    yield len(uploads), (page, str(paths[0]), str(paths[1]))
