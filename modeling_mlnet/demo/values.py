"""Values of the page's own components, as JSON."""

from collections.abc import Sequence

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
    answers: Answers,
    result: Result,
    example: str | None,
    view: str,
    opacity: object,
    colormap: object,
    shapes: Sequence[str] = USUAL_SHAPES,
) -> JsonObject:
    """All that the tabs Map, Regions and Crop show of an image, by component; `example` is its name, if it is one."""
    src = save_image(answers, result)
    viewer = viewer_value(answers, result, example, view, opacity, colormap)
    overlay, grey, npy = answers.map_files(result, opacity, colormap)
    heat = viewer["src"]["path"] if view == "Heat" else overlay
    regions = editor_value(result, src, heat, "")
    files = {"overlay": overlay, "map": grey, "npy": npy}
    shown = {"given": result.upload, "image": src, "viewer": viewer, "regions": regions}
    return {**shown, **files, "crops": crops_value(result, src, shapes)}


def save_image(answers: Answers, result: Result) -> str:
    """A JPEG of the upright image at the size of its map."""
    return answers.files.save(f"{result.stem}.jpg", Image.fromarray(result.image))


def viewer_value(
    answers: Answers, result: Result, example: str | None, view: str, opacity: object, colormap: object
) -> JsonObject:
    """Value of `assets/viewer.js`."""
    path = answers.files.save(f"{result.stem}.{view.lower()}.jpg", result.draw(view, opacity, colormap))
    width, height = result.size
    spots = find_spots(result.saliency_map, SPOTS, result.size)
    places = [
        {"number": spot.number, "left": spot.x / width, "top": spot.y / height, "text": words.spot_in_words(spot)}
        for spot in spots
    ]
    text = {"alt": words.alt_text(spots, view), "sentence": words.spots_in_words(spots)}
    return {"src": image_file(path), "width": width, "height": height, "spots": places, "example": example, **text}


def editor_value(result: Result, src: str, heat: str, boxes: str | None = None) -> JsonObject:
    """Value of `assets/boxes.js`: an image, its overlay, and boxes as text in pixels of it, `None` for those drawn."""
    width, height = result.size
    return {"src": image_file(src), "map": image_file(heat), "width": width, "height": height, "boxes": boxes}


def shares(regions: Sequence[Region]) -> JsonObject:
    """Shares of measured boxes for `assets/boxes.js`."""
    return {region.name: region.share for region in regions}


def crops_value(result: Result, src: str, shapes: Sequence[str]) -> list[JsonObject]:
    """Value of `assets/figures.js`: the crops of an image."""
    crops = [best_crop(result.saliency_map, shape, result.size) for shape in shapes if shape in SHAPES]
    return [
        {
            **{"src": image_file(src), "title": crop.aspect, "words": words.crop_in_words(crop)},
            "style": f"aspect-ratio:{crop.width}/{crop.height};object-position:{crop.object_position}",
        }
        for crop in crops
    ]
