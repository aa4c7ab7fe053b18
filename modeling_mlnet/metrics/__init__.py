"""Saliency metrics: `cc`, `sim`, `kl`, `nss`, `auc` and `auc_shuffled`."""

from .functions import auc, auc_shuffled, cc, kl, nss, sim

__all__ = ["auc", "auc_shuffled", "cc", "kl", "nss", "sim"]
