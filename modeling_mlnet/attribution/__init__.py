"""What the network sees: importance and ablation of levels, attribution to pixels, and the learned prior."""

from .ablation import level_ablation
from .levels import MEASURES, LevelImportance, level_importance, level_names
from .pixels import pixel_attribution
from .prior import PriorMap, prior_map

__all__ = [
    "MEASURES",
    "LevelImportance",
    "PriorMap",
    "level_ablation",
    "level_importance",
    "level_names",
    "pixel_attribution",
    "prior_map",
]
