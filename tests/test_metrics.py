import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pytest import approx

from modeling_mlnet.metrics import auc_borji, auc_judd, auc_shuffled, cc, emd, information_gain, kl, nss, sim
from modeling_mlnet.metrics.inputs import to_pixels

# no deadline, as the first call of a metric imports libraries
settings.register_profile("metrics", deadline=None, max_examples=50)
settings.load_profile("metrics")
HEIGHT, WIDTH = 6, 8
maps = arrays(np.float64, (HEIGHT, WIDTH), elements=st.floats(0, 100, allow_subnormal=False)).filter(
    lambda item: np.ptp(item) > 1
)
levels = arrays(np.float64, (HEIGHT, WIDTH), elements=st.integers(0, 4)).filter(
    lambda item: np.ptp(item) > 0
)  # many ties
fixations = st.lists(st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1)), min_size=1, max_size=12).map(
    np.array
)


def all_aucs(saliency_map, points, others, exact_only=False):
    thresholds = {} if exact_only else {"thresholds": np.arange(11) / 10}
    scores = [
        auc_judd(saliency_map, points),
        auc_judd(saliency_map, points, negatives="all"),
        auc_shuffled(saliency_map, points, others),
    ]
    return (
        scores
        if exact_only
        else [*scores, auc_borji(saliency_map, points), auc_shuffled(saliency_map, points, others, **thresholds)]
    )


def brute_auc(positives, negatives):
    return np.mean([(p > n) + 0.5 * (p == n) for p in positives for n in negatives])


@given(st.one_of(maps, levels), fixations, fixations)
def test_auc_is_the_probability_of_a_fixation_above_a_negative(saliency_map, points, others):
    at = saliency_map[points[:, 1], points[:, 0]]
    free = np.ones(saliency_map.shape, bool)
    free[points[:, 1], points[:, 0]] = False
    assert auc_judd(saliency_map, points) == approx(brute_auc(at, saliency_map[free]))
    assert auc_judd(saliency_map, points, negatives="all") == approx(brute_auc(at, saliency_map.ravel()))
    negatives = saliency_map[others[:, 1], others[:, 0]]
    assert auc_shuffled(saliency_map, points, others) == approx(brute_auc(at, negatives))


@pytest.mark.parametrize("decimals", [1, 4, 17])
def test_auc_of_large_images_counts_exactly(decimals):
    rng = np.random.default_rng(5)
    saliency_map = np.round(rng.random((300, 400)) ** 3, decimals)
    points = np.stack([rng.integers(0, 400, 50), rng.integers(0, 300, 50)], axis=1)
    others = np.stack([rng.integers(0, 390, 80_000), rng.integers(0, 300, 80_000)], axis=1)
    saliency_map[points[:4, 1], points[:4, 0]] = (0, 0, 1.5, 2)  # beyond the range of the others, or at its ends
    at, at_others = (np.array(saliency_map[item[:, 1], item[:, 0]]) for item in (points, others))
    shares = [((at_others < item).sum() + (at_others == item).sum() / 2) / len(at_others) for item in at]
    assert auc_shuffled(saliency_map, points, others) == approx(np.mean(shares), abs=1e-12)
    shares = [((saliency_map < item).sum() + (saliency_map == item).sum() / 2) / saliency_map.size for item in at]
    assert auc_judd(saliency_map, points, negatives="all") == approx(np.mean(shares), abs=1e-12)


def test_the_area_over_many_thresholds_is_the_trapezoid():
    rng = np.random.default_rng(6)
    saliency_map = rng.random((300, 400)) ** 3
    points = np.stack([rng.integers(0, 400, 50), rng.integers(0, 300, 50)], axis=1)
    scaled = (saliency_map - saliency_map.min()) / np.ptp(saliency_map)
    at, thresholds = scaled[points[:, 1], points[:, 0]], np.arange(100) * 0.01
    hits, false_alarms = ([1, *((item >= t).mean() for t in thresholds), 0] for item in (at, scaled))
    expected = -np.trapezoid(hits, false_alarms)
    assert auc_borji(saliency_map, points, thresholds=thresholds) == approx(expected, abs=1e-12)


@given(st.one_of(maps, levels), fixations, fixations)
def test_monotone_rescaling_leaves_every_exact_auc(saliency_map, points, others):
    ranks = np.unique(saliency_map, return_inverse=True)[1].reshape(saliency_map.shape)
    assert all_aucs(ranks, points, others, True) == approx(all_aucs(saliency_map, points, others, True))


@given(levels, fixations, fixations, st.sampled_from([0.5, 2.0, 64.0]), st.integers(0, 8))
def test_shifting_and_scaling_leave_the_aucs_over_thresholds(saliency_map, points, others, scale, shift):
    assert all_aucs(saliency_map * scale + shift, points, others) == approx(all_aucs(saliency_map, points, others))


def test_the_closed_forms_are_what_random_draws_average_to():
    rng = np.random.default_rng(3)
    saliency_map = rng.random((30, 40)) ** 2
    points = np.argwhere(rng.random((30, 40)) < saliency_map / 20)[:, ::-1]
    others = np.argwhere(rng.random((30, 40)) < 0.1)[:, ::-1]

    def area(positives, negatives):
        thresholds = np.arange(11)[::-1] * 0.1
        tp = [0, *((positives >= item).mean() for item in thresholds), 1]
        fp = [0, *((negatives >= item).mean() for item in thresholds), 1]
        return np.trapezoid(tp, fp)

    scaled = (saliency_map - saliency_map.min()) / np.ptp(saliency_map)
    at, at_others = scaled[points[:, 1], points[:, 0]], scaled[others[:, 1], others[:, 0]]
    uniform = [area(at, rng.choice(scaled.ravel(), len(at))) for _ in range(4000)]
    shuffled = [area(at, rng.choice(at_others, len(at), replace=False)) for _ in range(4000)]
    error = 4 / np.sqrt(4000)
    assert auc_borji(saliency_map, points) == approx(np.mean(uniform), abs=error * np.std(uniform))
    exact = auc_shuffled(saliency_map, points, others, thresholds=np.arange(11) * 0.1)
    assert exact == approx(np.mean(shuffled), abs=error * np.std(shuffled))


@given(maps, maps, fixations, st.floats(0.1, 10), st.floats(0, 10))
def test_cc_and_nss_ignore_shift_and_scale(saliency_map, density, points, scale, shift):
    moved = saliency_map * scale + shift
    assert cc(moved, density) == approx(cc(saliency_map, density), abs=1e-6)
    assert nss(moved, points) == approx(nss(saliency_map, points), abs=1e-6)


@given(maps, fixations)
def test_identical_maps_give_the_best_value(saliency_map, points):
    assert cc(saliency_map, saliency_map) == approx(1)
    assert sim(saliency_map, saliency_map) == approx(1)
    assert sim(saliency_map, saliency_map, min_max=True) == approx(1)
    assert kl(saliency_map, saliency_map) == approx(0, abs=1e-9)
    assert emd(saliency_map, saliency_map, cell=1) == approx(0, abs=1e-9)
    assert information_gain(saliency_map, points, saliency_map) == 0


@given(maps, fixations)
def test_no_map_beats_the_fixation_map_itself(saliency_map, points):
    counts = np.zeros((HEIGHT, WIDTH), int)
    np.add.at(counts, (points[:, 1], points[:, 0]), 1)
    assert auc_judd(counts > 0, points) == 1
    assert auc_judd(saliency_map, points) <= 1
    assert nss(counts, points) >= nss(saliency_map, points) - 1e-9  # Cauchy and Schwarz


@given(maps, maps, fixations, fixations, st.permutations(range(HEIGHT * WIDTH)))
def test_permuting_the_pixels_of_everything_changes_nothing(saliency_map, density, points, others, order):
    order = np.array(order)
    place = np.argsort(order)

    def moved(item):
        return item.ravel()[order].reshape(item.shape)

    def moved_points(xy):
        rows, columns = np.divmod(place[xy[:, 1] * WIDTH + xy[:, 0]], WIDTH)
        return np.stack([columns, rows], axis=1)

    for metric in (cc, sim, kl):
        assert metric(moved(saliency_map), moved(density)) == approx(metric(saliency_map, density), abs=1e-9)
    truth = (moved_points(points), moved_points(others))
    assert all_aucs(moved(saliency_map), *truth) == approx(all_aucs(saliency_map, points, others))
    assert nss(moved(saliency_map), truth[0]) == approx(nss(saliency_map, points), abs=1e-9)
    gain = information_gain(moved(saliency_map), truth[0], moved(density))
    assert gain == approx(information_gain(saliency_map, points, density), abs=1e-9)


@given(st.one_of(maps, levels), maps, fixations, fixations)
def test_scores_stay_in_their_ranges(saliency_map, density, points, others):
    assert -1 - 1e-9 <= cc(saliency_map, density) <= 1 + 1e-9
    assert 0 <= sim(saliency_map, density) <= 1 + 1e-9
    assert kl(saliency_map, density) >= -1e-9
    assert 0 <= emd(saliency_map, density, cell=2) <= np.hypot(3, 4)
    for score in all_aucs(saliency_map, points, others):
        assert 0 <= score <= 1


def test_values_worked_out_by_hand():
    saliency_map, density = np.array([[1.0, 0, 0], [0, 1, 0]]), np.array([[1.0, 0, 0], [0, 0, 0]])
    assert cc(saliency_map, density) == approx(np.sqrt(0.4))
    assert sim(saliency_map, density) == approx(0.5)
    assert sim(saliency_map + 1, density) == approx(2 / 8)
    assert sim(saliency_map + 1, density, min_max=True) == approx(0.5)
    assert kl(saliency_map, density) == approx(np.log(2))
    assert nss(saliency_map, [[0, 0], [0, 0], [1, 0]]) == approx((2 / 3 - 1 / 3) / np.sqrt(2 / 9))
    assert nss(saliency_map, [[0, 0]], ddof=1) == approx((1 - 1 / 3) / np.sqrt(6 / 5 * 2 / 9))
    assert auc_judd(saliency_map, [[0, 0]]) == approx((4 + 0.5) / 5)
    assert auc_judd(saliency_map, [[0, 0]], negatives="all") == approx((4 + 1) / 6)
    assert auc_shuffled(saliency_map, [[0, 0], [2, 0]], [[1, 1], [1, 0]]) == approx((0.75 + 0.25) / 2)
    assert information_gain(saliency_map, [[0, 0]], np.ones((2, 3))) == approx(np.log2(3))
    assert emd(saliency_map, density, cell=1) == approx(0.5 * np.sqrt(2))


def test_fixations_of_equal_value_cost_auc_only_without_tie_correction():
    saliency_map = np.zeros((4, 5))
    points = [[1, 1], [2, 2], [3, 3]]
    assert auc_judd(saliency_map, points) == 0.5
    # all 20 pixels reach every threshold: the official curve runs over (19/17, 1/3), (18/17, 2/3) and (1, 1)
    assert auc_judd(saliency_map, points, ties="ordered") == approx(19 / 17 / 6 - (1 / 2 + 5 / 6) / 17)
    assert auc_judd(saliency_map, points, ties="jitter", seed=1) != auc_judd(saliency_map, points, ties="jitter")
    assert auc_judd(saliency_map, points, ties="jitter", seed=1) == auc_judd(
        saliency_map, points, ties="jitter", seed=1
    )
    with pytest.raises(ValueError, match="ties"):
        auc_judd(saliency_map, points, negatives="all", ties="jitter")
    with pytest.raises(ValueError, match="negatives"):
        auc_judd(saliency_map, points, negatives="none")


def test_emd_averages_over_cells_and_shares_pixels_on_a_border():
    left, right = np.zeros((32, 80)), np.zeros((32, 80))
    left[:, 0] = right[:, 79] = 1
    assert emd(left, right) == approx(2)  # 80 pixels are three cells
    middle = np.zeros((32, 48))
    middle[:, 23:25] = 1
    assert emd(middle, np.ones((32, 48))) == approx(0)  # two cells of 24, the mass half in each


def test_x_comes_before_y_and_the_first_pixel_s_centre_is_0():
    saliency_map = np.zeros((4, 6))
    saliency_map[1, 5] = 1
    assert auc_judd(saliency_map, [[5, 1]]) > 0.9 and auc_judd(saliency_map, [[5.4, 0.6]]) > 0.9
    with pytest.raises(ValueError, match=r"fixations: \(1, 5\) lies outside the map of 6x4"):
        nss(saliency_map, [[1, 5]])


def test_a_fixation_map_counts_like_its_points():
    rng = np.random.default_rng(0)
    saliency_map, counts = rng.random((6, 8)), rng.integers(0, 3, (6, 8))
    points = np.repeat(np.argwhere(counts)[:, ::-1], counts[counts > 0], axis=0)
    second = rng.integers(0, 3, (6, 8))
    other_points = np.repeat(np.argwhere(second)[:, ::-1], second[second > 0], axis=0)
    assert nss(saliency_map, counts) == approx(nss(saliency_map, points))
    assert all_aucs(saliency_map, counts, second) == approx(all_aucs(saliency_map, points, other_points))
    assert nss(saliency_map, (counts > 0)) == approx(nss(saliency_map, np.unique(points, axis=0)))
    for wrong in (rng.random((6, 8)), counts - 1):
        with pytest.raises(ValueError, match="counts fixations in whole numbers"):
            nss(saliency_map, wrong)


@pytest.mark.skipif(np.finfo(np.longdouble).max <= np.finfo(float).max, reason="long doubles are doubles here")
def test_a_map_beyond_float64_is_refused():
    with pytest.raises(ValueError, match="must hold finite values of at least 0"):
        cc(np.array([[1, 2]], np.longdouble) * np.longdouble("1e400"), [[1, 2]])


def test_constant_maps_score_as_chance():
    flat, density = np.ones((4, 6)), np.arange(24.0).reshape(4, 6)
    assert cc(flat, density) == 0 and nss(flat, [[1, 1]]) == 0
    assert all_aucs(flat, [[1, 1]], [[2, 2]]) == [0.5] * 5
    assert sim(np.zeros((4, 6)), np.ones((4, 6))) == approx(1)
    assert information_gain(flat, [[1, 1]], np.zeros((4, 6))) == 0


@pytest.mark.parametrize("level", [128 / 255, 200 / 255, 0.1])
def test_constant_maps_whose_mean_is_rounded_score_as_chance_too(level):
    flat, density = np.full((480, 640), level), np.random.default_rng(0).random((480, 640))
    assert nss(flat, [[1, 1], [300, 200]]) == 0
    assert cc(flat, density) == cc(density, flat) == cc(flat, flat / 3) == 0


def test_without_fixations_the_score_is_nan():
    none, values = np.zeros((0, 2)), np.arange(24.0).reshape(4, 6)
    assert np.isnan([nss(values, none), information_gain(values, none, values)]).all()
    assert np.isnan(all_aucs(values, none, [[1, 1]])).all()
    assert np.isnan([auc_shuffled(values, [[1, 1]], none), auc_judd(values, np.ones((4, 6)))]).all()
    assert np.isnan(auc_judd(values, none, ties="jitter"))


@pytest.mark.parametrize(
    "bad", [np.full((4, 6), np.nan), np.full((4, 6), -1.0), np.full((4, 6), np.inf), np.zeros((0, 6))]
)
def test_maps_that_are_none_are_refused(bad):
    for metric in (cc, sim, kl, emd):
        with pytest.raises(ValueError, match="saliency_map"):
            metric(bad, np.ones((4, 6)))
        with pytest.raises(ValueError, match="density"):
            metric(np.ones((4, 6)), bad)
    for metric in (nss, auc_judd, auc_borji):
        with pytest.raises(ValueError, match="saliency_map"):
            metric(bad, [[0, 0]])
    with pytest.raises(ValueError, match="baseline"):
        information_gain(np.ones((4, 6)), [[0, 0]], bad)


def test_maps_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 6\) and \(6, 4\)"):
        cc(np.ones((4, 6)), np.ones((6, 4)))
    with pytest.raises(ValueError, match="other_fixations must be points"):
        auc_shuffled(np.ones((4, 6)), [[0, 0]], np.ones((6, 4)))


def test_values_of_any_magnitude_are_scored():
    values = np.arange(24.0).reshape(4, 6) + 1
    for scale in (1e-300, 1e300):
        assert cc(values * scale, values) == approx(1) and sim(values * scale, values) == approx(1)
        assert nss(values * scale, [[5, 3]]) == approx(nss(values, [[5, 3]]))
        assert all_aucs(values * scale, [[5, 3]], [[1, 1]]) == approx(all_aucs(values, [[5, 3]], [[1, 1]]))


def test_batches_of_arrays_tensors_and_lists_score_like_their_images():
    rng = np.random.default_rng(1)
    saliency_maps, densities = rng.random((3, 6, 8)), rng.random((3, 6, 8))
    points = [[[1, 2]], [[3, 4], [5, 5]], np.zeros((0, 2))]
    expected = [cc(item, second) for item, second in zip(saliency_maps, densities, strict=True)]
    assert cc(saliency_maps, densities) == approx(np.array(expected))
    assert cc(list(saliency_maps), list(densities)) == approx(np.array(expected))
    tensor = torch.from_numpy(saliency_maps).requires_grad_()
    assert cc(tensor, torch.from_numpy(densities)) == approx(np.array(expected))
    assert isinstance(cc(tensor[0], densities[0]), float)
    scores = nss(saliency_maps, points)
    assert scores[:2] == approx([nss(saliency_maps[0], points[0]), nss(saliency_maps[1], points[1])])
    assert np.isnan(scores[2])
    shared = auc_shuffled(saliency_maps, points, np.array([[0, 0], [7, 5]]))
    assert shared[1] == auc_shuffled(saliency_maps[1], points[1], [[0, 0], [7, 5]])
    assert sim(tensor.to(torch.bfloat16), densities) == approx(sim(saliency_maps, densities), abs=0.01)
    with pytest.raises(ValueError, match="image 1 of the batch: fixations"):
        nss(saliency_maps, [[[1, 2]], [[30, 4]], [[1, 1]]])
    with pytest.raises(ValueError, match="3 maps need as many entries, got 2"):
        nss(saliency_maps, points[:2])


MAP_METRICS = {"cc": cc, "sim": sim, "kl": kl, "nss": nss, "auc_judd": auc_judd, "auc_borji": auc_borji}


@pytest.mark.parametrize("name", MAP_METRICS)
@pytest.mark.parametrize("library", [np.asarray, torch.as_tensor])
def test_an_axis_for_one_channel_changes_nothing(name, library):
    """Height, width and a channel, as Keras has it, are one map and not as many maps as rows."""
    rng = np.random.default_rng(0)
    metric, values = MAP_METRICS[name], rng.random((3, 30, 40))
    if name in ("cc", "sim", "kl"):
        truth = rng.random((3, 30, 40))
    else:
        truth = np.zeros((3, 30, 40), dtype=np.int64)
        truth[:, rng.integers(30, size=9), rng.integers(40, size=9)] = 1
    single = [metric(*pair) for pair in zip(values, truth, strict=True)]
    assert metric(library(values[0][..., None]), library(truth[0])) == single[0]
    assert metric(library(values[0]), library(truth[0][..., None])) == single[0]
    assert metric(library(values[..., None]), library(truth[..., None])) == approx(single)
    assert metric(library(values[:, None]), library(truth[:, None])) == approx(single)
    assert metric([library(item[..., None]) for item in values], [library(item) for item in truth]) == approx(single)


def test_a_mask_of_bytes_counts_every_fixation_once():
    rng = np.random.default_rng(0)
    saliency_map, mask = rng.random((30, 40)), np.zeros((30, 40), dtype=np.uint8)
    mask[rng.integers(30, size=9), rng.integers(40, size=9)] = 255
    points = np.argwhere(mask)[:, ::-1]
    assert len(to_pixels(mask, (30, 40))) == len(points)
    assert auc_shuffled(saliency_map, points[:4], mask) == auc_shuffled(saliency_map, points[:4], points)
    counts = (mask // 255) * 3
    assert len(to_pixels(counts, (30, 40))) == 3 * len(points)
