import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modeling_mlnet.metrics import auc, auc_shuffled, cc, kl, nss, sim

maps = arrays(np.float64, (6, 8), elements=st.floats(0, 100, allow_subnormal=False)).filter(
    lambda one: np.ptp(one) > 1
)
fixations = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), min_size=1, max_size=12).map(np.array)


def brute_auc(positives, negatives):
    pairs = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    return np.mean(pairs)


@settings(deadline=None)
@given(maps, fixations, fixations)
def test_auc_is_the_probability_of_a_fixation_above_a_negative(saliency_map, points, others):
    at = saliency_map[points[:, 1], points[:, 0]]
    assert auc(saliency_map, points) == pytest.approx(brute_auc(at, saliency_map.ravel()))
    negatives = saliency_map[others[:, 1], others[:, 0]]
    assert auc_shuffled(saliency_map, points, others) == pytest.approx(brute_auc(at, negatives))


@given(maps, fixations)
def test_auc_ignores_monotone_rescaling(saliency_map, points):
    ranks = np.unique(saliency_map, return_inverse=True)[1].reshape(saliency_map.shape)
    assert auc(ranks, points) == pytest.approx(auc(saliency_map, points))
    assert auc_shuffled(ranks, points, points[::2]) == pytest.approx(auc_shuffled(saliency_map, points, points[::2]))


@given(maps, maps, fixations, st.floats(0.1, 10), st.floats(0, 10))
def test_cc_and_nss_ignore_shift_and_scale(saliency_map, density, points, scale, shift):
    moved = saliency_map * scale + shift
    assert cc(moved, density) == pytest.approx(cc(saliency_map, density), abs=1e-6)
    assert nss(moved, points) == pytest.approx(nss(saliency_map, points), abs=1e-6)


@given(maps)
def test_identical_maps_give_the_best_value(saliency_map):
    assert cc(saliency_map, saliency_map) == pytest.approx(1)
    assert sim(saliency_map, saliency_map) == pytest.approx(1)
    assert kl(saliency_map, saliency_map) == pytest.approx(0, abs=1e-9)


@given(maps, maps, st.permutations(range(48)))
def test_permuting_the_pixels_of_both_changes_nothing(saliency_map, density, order):
    order = np.array(order)
    moved, moved_density = saliency_map.ravel()[order].reshape(6, 8), density.ravel()[order].reshape(6, 8)
    for metric in (cc, sim, kl):
        assert metric(moved, moved_density) == pytest.approx(metric(saliency_map, density), abs=1e-9)


@given(maps, maps, fixations)
def test_scores_stay_in_their_ranges(saliency_map, density, points):
    assert -1 - 1e-9 <= cc(saliency_map, density) <= 1 + 1e-9
    assert 0 <= sim(saliency_map, density) <= 1 + 1e-9
    assert kl(saliency_map, density) >= -1e-9
    assert 0 <= auc(saliency_map, points) <= 1


def test_values_worked_out_by_hand():
    saliency_map, density = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 0.0]])
    assert cc(saliency_map, density) == pytest.approx(1 / np.sqrt(3))
    assert sim(saliency_map, density) == pytest.approx(0.5)
    assert kl(saliency_map, density) == pytest.approx(np.log(2))
    assert nss(saliency_map, [[0, 0], [0, 0], [1, 0]]) == pytest.approx(1 / 3)
    assert auc(saliency_map, [[0, 0]]) == pytest.approx(0.75)


def test_x_comes_before_y_and_the_first_pixel_s_centre_is_0():
    saliency_map = np.zeros((4, 6))
    saliency_map[1, 5] = 1
    assert auc(saliency_map, [[5, 1]]) > 0.9 and auc(saliency_map, [[5.4, 0.6]]) > 0.9
    with pytest.raises(ValueError, match=r"\(1, 5\) lies outside the map of 6x4"):
        nss(saliency_map, [[1, 5]])


def test_constant_maps_score_as_chance():
    flat, density = np.ones((4, 6)), np.arange(24.0).reshape(4, 6)
    assert cc(flat, density) == 0 and nss(flat, [[1, 1]]) == 0 and auc(flat, [[1, 1]]) == 0.5
    assert sim(np.zeros((4, 6)), np.ones((4, 6))) == pytest.approx(1)


def test_without_fixations_the_score_is_nan():
    none = np.zeros((0, 2))
    values = np.arange(24.0).reshape(4, 6)
    assert (
        np.isnan(nss(values, none)) and np.isnan(auc(values, none)) and np.isnan(auc_shuffled(values, [[1, 1]], none))
    )


@pytest.mark.parametrize(
    "bad", [np.full((4, 6), np.nan), np.full((4, 6), -1.0), np.zeros((4, 6, 3)), np.zeros((0, 6))]
)
def test_maps_that_are_none_are_refused(bad):
    for metric in (cc, sim, kl):
        with pytest.raises(ValueError, match="saliency_map"):
            metric(bad, np.ones((4, 6)))
    with pytest.raises(ValueError, match="saliency_map"):
        nss(bad, [[0, 0]])


def test_maps_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 6\) and \(6, 4\)"):
        cc(np.ones((4, 6)), np.ones((6, 4)))
