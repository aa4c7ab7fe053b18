"""Values of the page's own components, as JSON."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from ..analysis import Region, best_crop, find_spots
from ..io.json_types import JsonObject
from . import words
from .answers import Answers
from .components import image_file
from .results import Result

SPOTS = 3
SHAPES = ("1:1", "4:5", "3:4", "9:16", "4:3", "3:2", "16:9", "21:9")
USUAL_SHAPES = ["1:1", "4:5", "9:16", "16:9"]


def image_values(
    answers: Answers, result: Result, shapes: Sequence[str], *look: Any, again: bool = False
) -> JsonObject:
    """All that the tabs Map, Regions and Crop show of an image, by component; `again`, if it is shown already."""
    src, viewer = save_image(answers, result), viewer_value(answers, result, *look)
    overlay, grey, npy = answers.map_files(result, *look[1:])
    heat = viewer["src"]["path"] if look[0] == "Heat" else overlay
    regions = editor_value(result, src, heat, None if again else "")
    shown = {"shown": (result.upload, result.settings), "again": again, "image": src, "viewer": viewer}
    files = {"overlay": overlay, "map": grey, "npy": npy}
    return {**shown, **files, "regions": regions, "crops": crops_value(result, src, shapes)}


def save_image(answers: Answers, result: Result) -> str:
    """A JPEG of the upright image at the size of its map."""
    return answers.files.save(f"{result.stem}.jpg", Image.fromarray(result.image))


def viewer_value(answers: Answers, result: Result, view: str, opacity: object, colormap: object) -> JsonObject:
    """Value of `assets/viewer.js`."""
    path = answers.files.save(f"{result.stem}.{view.lower()}.jpg", result.draw(view, opacity, colormap))
    width, height = result.size
    spots = find_spots(result.saliency_map, SPOTS, result.size)
    places = [
        {"number": spot.number, "left": spot.x / width, "top": spot.y / height, "text": words.spot_in_words(spot)}
        for spot in spots
    ]
    text = {"alt": words.alt_text(spots, view), "sentence": words.spots_in_words(spots)}
    shown = {"src": image_file(path), "width": width, "height": height, "look": [view, opacity, colormap], **text}
    return {**shown, "spots": places, "image": result.upload.name, "example": answers.names.get(result.upload)}


def editor_value(result: Result, src: str, heat: str, boxes: str | None = None) -> JsonObject:
    """Value of `assets/boxes.js`: an image, its overlay, and boxes as text in pixels of it, `None` for those drawn."""
    width, height = result.size
    return {"src": image_file(src), "map": image_file(heat), "width": width, "height": height, "boxes": boxes}


def shares(regions: Sequence[Region]) -> JsonObject:
    """Shares of measured boxes for `assets/boxes.js`."""
    return {region.name: region.share for region in regions}


def crops_value(result: Result, src: str, shapes: Sequence[str]) -> list[JsonObject]:
    """Value of `assets/figures.js`: the crops of an image."""
    crops = [best_crop(result.saliency_map, shape, result.size) for shape in SHAPES if shape in shapes]
    return [
        {
            **{"src": image_file(src), "title": crop.aspect, "words": words.crop_in_words(crop)},
            "style": f"aspect-ratio:{crop.width}/{crop.height};object-position:{crop.object_position}",
        }
        for crop in crops
    ]
