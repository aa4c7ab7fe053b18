"""Exact saliency metrics, and the protocols that define the variant of each."""

from .density import cc, emd, kl, sim
from .evaluator import Evaluator
from .fixation import auc_borji, auc_judd, auc_shuffled, information_gain, log_likelihood, nss
from .optimal import OPTIMAL_MAPS, optimal_map
from .pool import FixationPool, centre_map
from .protocols import LOWER_IS_BETTER, PROTOCOLS, Protocol, get_protocol

__all__ = [
    "LOWER_IS_BETTER",
    "OPTIMAL_MAPS",
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
    "log_likelihood",
    "nss",
    "optimal_map",
    "sim",
]
