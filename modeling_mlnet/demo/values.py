"""Values of the page's own components, as JSON."""

from collections.abc import Sequence

from ..analysis import Region, best_crop, find_spots
from ..io.json_types import JsonObject
from . import images, words
from .components import image_file
from .handlers import SPOTS, Handlers, MapSettings
from .limits import Upload
from .store import Result

SHAPES = ("1:1", "4:5", "3:4", "9:16", "4:3", "3:2", "16:9", "21:9")
USUAL_SHAPES = ["1:1", "4:5", "9:16", "16:9"]


def image_values(
    handlers: Handlers,
    upload: Upload,
    settings: MapSettings,
    view: str,
    opacity: object,
    colormap: object,
    shapes: Sequence[str],
    *,
    example: str | None,
) -> JsonObject:
    """All that the tabs Map, Regions and Crop show of an image, by component.

    Args:
        handlers: Functions of the page.
        upload: The image.
        settings: Settings of its map.
        view: One of `images.VIEWS`.
        opacity: Opacity of the heat map.
        colormap: One of `images.COLORMAPS`.
        shapes: Shapes of crops.
        example: Its name, if it is one.

    Raises:
        ValueError: As `Handlers.open`, or if an option is unknown.
    """
    opacity, colormap = images.check_look(opacity, colormap)
    result, store = handlers.open(upload, settings), handlers.store(settings)
    src = images.save_image(result, store)
    viewer = viewer_value(handlers, result, settings, view, opacity, colormap, example)
    overlay, grey, npy = handlers.write_files(result, opacity, colormap, settings)
    heat = viewer["src"]["path"] if view == "Heat" else overlay
    return {
        **{"given": upload, "image": src, "viewer": viewer, "overlay": overlay, "map": grey, "npy": npy},
        **{"regions": editor_value(result, src, heat), "crops": crops_value(result, src, shapes)},
    }


def viewer_value(
    handlers: Handlers,
    result: Result,
    settings: MapSettings,
    view: str,
    opacity: float,
    colormap: str,
    example: str | None,
) -> JsonObject:
    """Value of `assets/viewer.js`; arguments as in `image_values`."""
    path = images.save_view(result, handlers.store(settings), view, opacity, colormap)
    width, height = result.size
    spots = find_spots(result.saliency_map, SPOTS, result.size)
    places = [
        {"number": spot.number, "left": spot.x / width, "top": spot.y / height, "text": words.spot_in_words(spot)}
        for spot in spots
    ]
    return {
        **{"src": image_file(path), "alt": words.alt_text(spots, view), "width": width, "height": height},
        **{"sentence": words.spots_in_words(spots), "spots": places, "example": example},
    }


def editor_value(result: Result, src: str, heat: str, boxes: str | None = "") -> JsonObject:
    """Value of `assets/boxes.js`: an image, its overlay, and boxes as text in pixels of it, `None` for those drawn."""
    width, height = result.size
    files = {"src": image_file(src), "map": image_file(heat)}
    return {**files, "width": width, "height": height, "boxes": boxes}


def shares(regions: Sequence[Region]) -> JsonObject:
    """Shares of measured boxes for `assets/boxes.js`."""
    return {region.name: {"share": region.share, "ratio": region.ratio} for region in regions}


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
