"""The interval of a paired difference, against values by hand and by simulation."""

import numpy as np
import pytest

from gpt4image.errors import SettingsError
from gpt4image.evaluate.paired import compute_paired_difference


def test_one_seed_is_the_textbook_paired_interval() -> None:
    a = np.array([[True] * 60 + [False] * 40])
    b = np.array([[True] * 50 + [False] * 50])
    result = compute_paired_difference(a, b)
    standard_error = 100 * np.sqrt(0.1 * 0.9 * 100 / 99 / 100)
    assert result.mean == pytest.approx(10)
    assert result.high - result.low == pytest.approx(2 * 1.959964 * standard_error)
    assert "images only" in result.random


def test_seeds_that_disagree_as_a_whole_make_the_interval_that_of_the_seed_means() -> None:
    # No image effect: every image has the same difference, +1 in one seed and 0 in the other.
    a, b = np.array([[True] * 50, [False] * 50]), np.zeros((2, 50), dtype=bool)
    result = compute_paired_difference(a, b)
    assert result.mean == pytest.approx(50)
    # t with one degree of freedom times standard deviation 70.71 over root 2
    assert result.high - result.mean == pytest.approx(12.7062 * 50, rel=1e-4)


def test_equal_arms_differ_by_exactly_nothing() -> None:
    same = np.random.default_rng(0).random((3, 20)) < 0.5
    result = compute_paired_difference(same, same)
    assert (result.mean, result.low, result.high) == (0, 0, 0)


def test_more_seeds_narrow_the_interval() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((10, 500)) < 0.6, rng.random((10, 500)) < 0.5
    widths = [r.high - r.low for r in (compute_paired_difference(a[:s], b[:s]) for s in (2, 4, 10))]
    assert widths[0] > widths[1] > widths[2]


def _simulate(
    rng: np.random.Generator, num_seeds: int, num_images: int, seed_effect: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two arms with images of varied difficulty, seeds of varied luck and chance; b is the better one."""
    difficulty, taste = rng.normal(0, 1.2, num_images), rng.normal(0, 0.5, num_images)

    def arm(mean: np.ndarray) -> np.ndarray:
        luck = rng.normal(0, seed_effect, (num_seeds, 1)) if seed_effect else 0
        return mean + luck + rng.normal(size=(num_seeds, num_images)) > 0

    return arm(difficulty + taste + 0.3), arm(difficulty - taste)


@pytest.mark.parametrize("seed_effect", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("num_seeds", [2, 3, 5, 10])
def test_interval_holds_the_truth_as_often_as_it_says(num_seeds: int, seed_effect: float) -> None:
    rng = np.random.default_rng(num_seeds)
    # P(A) = Phi(0.3 / s) and P(B) = Phi(0) with s the total standard deviation of an outcome's latent score.
    from scipy.stats import norm

    truth = 100 * (norm.cdf(0.3 / np.sqrt(1.2**2 + 0.5**2 + 1 + seed_effect**2)) - 0.5)
    hits = [
        abs(result.mean - truth) <= result.high - result.mean
        for result in (compute_paired_difference(*_simulate(rng, num_seeds, 400, seed_effect)) for _ in range(500))
    ]
    assert 0.925 <= np.mean(hits) <= 0.995


@pytest.mark.parametrize("num_seeds", [1, 2, 5])
def test_the_interval_of_level_one_minus_p_reaches_zero(num_seeds: int) -> None:
    result = compute_paired_difference(*(outcomes := _simulate(np.random.default_rng(3), num_seeds, 200, 0.1)))
    assert 0 < result.p < 1
    assert compute_paired_difference(*outcomes, 1 - result.p).low == pytest.approx(0, abs=1e-4)
    assert compute_paired_difference(outcomes[0], outcomes[0]).p == 1


def test_p_of_one_seed_is_that_of_the_normal_test() -> None:
    from scipy.stats import norm

    a, b = _simulate(np.random.default_rng(4), 1, 300, 0.0)
    d = a[0].astype(float) - b[0]
    z = d.mean() / (d.std(ddof=1) / np.sqrt(300))
    assert compute_paired_difference(a, b).p == pytest.approx(2 * norm.sf(abs(z)), rel=1e-6)


def test_shapes_that_do_not_pair_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"shape \(2, 5\) and \(3, 5\) cannot be paired"):
        compute_paired_difference(np.ones((2, 5), dtype=bool), np.ones((3, 5), dtype=bool))
