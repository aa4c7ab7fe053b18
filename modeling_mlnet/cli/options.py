"""Options shared by several commands."""

import warnings

DATASET = "NAME:DIR (salicon, mit1003, cat2000, osie, toronto, folder), a folder or a Hub id."
PROTOCOL = "mit, tuebingen, salicon2015 or salicon2015-unfiltered."
PATHS = "Images, folders, patterns or http(s) addresses; - is standard input."
MEGAPIXELS = "Largest image to be read, in million pixels; more may fill the memory."


def allow_pixels(megapixels: float) -> None:
    """Sets Pillow's limit of pixels for this process; Pillow refuses images of twice its value."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = int(megapixels * 1e6 / 2)
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
