"""Answers from saliency maps: shares of regions, comparison of designs, crops, strongest spots, reports.

The functions on maps need NumPy and Pillow only; no network and no predictor.
"""

from .box_files import BoxFile, read_boxes
from .box_source import BoxSource
from .boxes import Box, check_boxes, parse_box, to_pixels
from .comparison import SAME_PLACE, ComparedRegion, Comparison, by_change, compare_regions, in_words, to_one_scale
from .conditions import Condition, parse_condition
from .crops import Crop, best_crop
from .documents import (
    Answer,
    ImageFile,
    Model,
    comparison_document,
    crops_document,
    json_schema,
    prediction_document,
    region_rows,
    regions_document,
    to_csv,
    to_json,
)
from .drawing import draw_answer, draw_regions, draw_spots, side_by_side
from .measuring import measure_image
from .regions import Region, measure_regions, ninths
from .report import ReportRow, comparison_html, report_html, report_rows
from .spots import Focus, Spot, effective_area, find_spots, focus
from .tiles import TiledPredictor, first_screen, predict_tiled
from .words import name_ninth, percent

__all__ = [
    "SAME_PLACE",
    "Answer",
    "Box",
    "BoxFile",
    "BoxSource",
    "ComparedRegion",
    "Comparison",
    "Condition",
    "Crop",
    "Focus",
    "ImageFile",
    "Model",
    "Region",
    "ReportRow",
    "Spot",
    "TiledPredictor",
    "best_crop",
    "by_change",
    "check_boxes",
    "compare_regions",
    "comparison_document",
    "comparison_html",
    "crops_document",
    "draw_answer",
    "draw_regions",
    "draw_spots",
    "effective_area",
    "find_spots",
    "first_screen",
    "focus",
    "in_words",
    "json_schema",
    "measure_image",
    "measure_regions",
    "name_ninth",
    "ninths",
    "parse_box",
    "parse_condition",
    "percent",
    "predict_tiled",
    "prediction_document",
    "read_boxes",
    "region_rows",
    "regions_document",
    "report_html",
    "report_rows",
    "side_by_side",
    "to_csv",
    "to_json",
    "to_one_scale",
    "to_pixels",
]
