"""Saliency metrics, exact, and the protocols of the field that say which variant of each is meant."""

from .density import cc, emd, kl, sim
from .evaluator import Evaluator, FixationPool, centre_map
from .fixation import auc_borji, auc_judd, auc_shuffled, information_gain, nss
from .protocols import LOWER_IS_BETTER, PROTOCOLS, Protocol, get_protocol

__all__ = [
    "LOWER_IS_BETTER",
    "PROTOCOLS",
    "Evaluator",
    "FixationPool",
    "Protocol",
    "auc_borji",
    "auc_judd",
    "auc_shuffled",
    "cc",
    "centre_map",
    "emd",
    "get_protocol",
    "information_gain",
    "kl",
    "nss",
    "sim",
]
