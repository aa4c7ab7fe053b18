"""Losses of saliency maps `(batch, height, width)`, >= 0 and of any scale, against labels of this shape in 0..1."""

import torch
from torch import Tensor


def _max_normalize(saliency_map: Tensor) -> Tensor:
    # A dead map has maximum 0; without the bound its gradient would be NaN and end the training.
    return saliency_map / saliency_map.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)


def release_loss(saliency_map: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Mean of (p / max(p) - y)^2 / (alpha - y) over all pixels, as in the released code."""
    return ((_max_normalize(saliency_map) - labels).square() / (alpha - labels)).mean()


def paper_loss(saliency_map: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Mean of ((p / max(p) - y) / (alpha - y))^2 over all pixels (paper, Eq. 2)."""
    return ((_max_normalize(saliency_map) - labels) / (alpha - labels)).square().mean()


def mse_loss(saliency_map: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Mean of (p / max(p) - y)^2 over all pixels, the squared error that the paper's loss improves on.

    `alpha` is not used.
    """
    return (_max_normalize(saliency_map) - labels).square().mean()


def kl_loss(saliency_map: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Kullback-Leibler divergence of the map from the labels, averaged over images.

    Both are taken as distributions, so the scale of the map is free. A label without mass adds nothing. `alpha` is not
    used.
    """
    eps = 1e-8
    predicted, target = saliency_map.flatten(1), labels.flatten(1)
    density = target / target.sum(1, keepdim=True).clamp_min(eps)
    ratio = density / (predicted / predicted.sum(1, keepdim=True).clamp_min(eps) + eps)
    return (density * (ratio + eps).log()).sum(1).mean()


def kl_cc_loss(saliency_map: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """`kl_loss` minus half the correlation (CC), averaged over images.

    A map or a label without any variation adds nothing to the correlation.
    """
    eps = 1e-8
    predicted, target = saliency_map.flatten(1), labels.flatten(1)
    predicted = predicted / predicted.mean(1, keepdim=True).clamp_min(eps)
    predicted, target = predicted - predicted.mean(1, keepdim=True), target - target.mean(1, keepdim=True)
    norm = (predicted.square().sum(1) * target.square().sum(1) + eps).sqrt()
    correlation = (predicted * target).sum(1) / norm
    return kl_loss(saliency_map, labels, alpha) - 0.5 * correlation.mean()


def kl_cc_sim_loss(saliency_map: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """`kl_cc_loss` minus half the similarity (SIM), the mass that the two distributions share, averaged over images.

    KL only penalises missed mass; SIM also rewards overlap.
    """
    predicted, target = (
        values / values.sum((1, 2), keepdim=True).clamp_min(1e-8) for values in (saliency_map, labels)
    )
    similarity = torch.minimum(predicted, target).sum((1, 2)).mean()
    return kl_cc_loss(saliency_map, labels, alpha) - 0.5 * similarity


# Add a loss here, and its name to LOSSES in configuration_mlnet.py.
LOSS_FUNCTIONS = {
    "release": release_loss,
    "paper": paper_loss,
    "mse": mse_loss,
    "kl": kl_loss,
    "kl_cc": kl_cc_loss,
    "kl_cc_sim": kl_cc_sim_loss,
}
