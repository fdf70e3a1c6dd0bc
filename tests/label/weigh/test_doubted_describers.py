"""Picks and texts that are wrong whatever the image looks like: image features tell, without any label."""

from dataclasses import replace

import numpy as np
import pytest
from tests.label.weigh.world import World, keep, make_world

from gpt4image.label.weigh import Evidence, Picks, weigh
from gpt4image.label.weigh.compete import compete
from gpt4image.label.weigh.first_belief import list_claims
from gpt4image.label.weigh.log_space import normalise_logs
from gpt4image.label.weigh.pool import USUAL_LEAK, estimate_leak
from gpt4image.label.weigh.prepare import prepare


def share_right(world: World, evidence: Evidence) -> float:
    return float((weigh(evidence).classes[:, 0] == world.y).mean())


def is_doubted(evidence: Evidence) -> bool:
    return compete(prepare(evidence, 0).problem)["clean"].problem.image_weight is not None


def see(world: World, noise: float, seed: int = 3) -> np.ndarray:
    """What somebody says who knows the classes and sees the images not quite clearly: errors on ambiguous ones."""
    means = np.stack([world.features[world.y == c].mean(0) for c in range(len(world.names))])
    seen = world.features + noise * np.random.default_rng(seed).standard_normal(world.features.shape)
    return ((seen[:, None] - means) ** 2).sum(2).argmin(1)


def exchange(count: int, moved: int, seed: int = 5) -> np.ndarray:
    """Rows of which some are another's."""
    rng = np.random.default_rng(seed)
    rows = np.arange(count)
    chosen = rng.permutation(count)[:moved]
    rows[chosen] = np.roll(chosen, 1)
    return rows


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("texts", [True, False])
def test_they_are_put_right_with_few_labels_and_none(texts, count):
    """Six in ten are right; what was taken for granted stayed at that."""
    world = make_world(num_classes=10, size=800, pick_right=0.6, text_noise=3, image_noise=1)
    assert (world.pick == world.y).mean() == pytest.approx(0.6, abs=0.04)
    assert share_right(world, world.tell(keep(world.y, count), texts=texts, names=False)) > 0.9


def test_answers_of_other_images_are_found_by_the_share_of_them():
    """Pick and text of three images in ten belong to another one: they agree with each other, not with the image."""
    world = make_world(num_classes=10, size=800, pick_right=1.0)
    rows = exchange(800, 240)
    evidence = world.tell(np.full(800, -1), pick=world.pick[rows], text_rows=rows)
    assert (world.pick[rows] == world.y).mean() < 0.75
    weighed = weigh(evidence)
    assert (weighed.classes[:, 0] == world.y).mean() > 0.95
    assert weighed.reliability["leak"] == pytest.approx(0.3, abs=0.06)
    assert any("wrong by image features" in line for line in weighed.reliability["cannot_tell"])


@pytest.mark.parametrize("count", [0, 1])
def test_texts_of_other_images_are_found_without_picks(count):
    world = make_world(num_classes=10, size=800)
    rows = exchange(800, 240)
    assert (world.y[rows] == world.y).mean() < 0.75
    evidence = world.tell(keep(world.y, count), picks=False, text_rows=rows)
    assert is_doubted(evidence)
    assert share_right(world, evidence) > 0.92


def test_class_names_that_say_little_are_no_reason_to_doubt_texts():
    """The nearest names are wrong for three in ten, clusters of the same texts for few: the texts are right."""
    world = make_world(num_classes=10, size=800)
    world.names[:] += 1.5 * np.random.default_rng(2).standard_normal(world.names.shape)
    evidence = world.tell(np.full(800, -1), picks=False)
    (claimed,) = list_claims(prepare(evidence, 0).problem)
    assert (claimed.first == world.y).mean() < 0.75
    assert not is_doubted(evidence)
    assert share_right(world, evidence) > 0.99


def test_errors_on_ambiguous_images_are_none_to_doubt_by():
    """Features that learnt from such picks repeat their errors, and know no better."""
    world = make_world(num_classes=6, size=900, image_noise=2.5)
    pick = see(world, 1.0)
    assert 0.65 < (pick == world.y).mean() < 0.8
    evidence = world.tell(np.full(900, -1), pick=pick)
    assert not is_doubted(evidence)
    assert is_doubted(world.tell(np.full(900, -1), pick=np.where(np.arange(900) % 4, pick, (pick + 1) % 6)))


def test_only_the_describer_who_is_wrong_is_doubted():
    world = make_world(num_classes=6, size=900, seed=1, pick_right=0.6)
    evidence = world.tell(np.full(900, -1), texts=False)
    sure = np.full(900, np.nan, np.float32)
    good = Picks("good", see(world, 1.0), np.full(900, -1), sure)
    assert (good.first == world.y).mean() > 0.95
    both = replace(evidence, picks=(*evidence.picks, good))
    assert is_doubted(both)
    assert not is_doubted(replace(evidence, picks=(good,)))
    assert share_right(world, both) > (good.first == world.y).mean() + 0.015


def test_labels_are_not_suspected_by_describers_whom_features_put_right():
    """What those are believed to say comes from the image's own features, whose doubts would be errors by sight."""
    world = make_world(size=400, pick_right=0.99)
    evidence = world.tell(np.where(np.arange(400) < 100, world.y, -1))
    spoilt = world.tell(evidence.given, pick=np.where(np.arange(400) % 4, world.pick, 0))
    trusted, doubted = (compete(prepare(one, 0).problem) for one in (evidence, spoilt))
    assert trusted["clean"].problem.image_weight is None
    assert doubted["clean"].problem.image_weight is not None
    assert "by sight, from others" in trusted
    assert "by sight, from others" not in doubted


def test_labels_of_most_images_tell_it_themselves():
    world = make_world(pick_right=0.6)
    half = np.where(np.arange(600) < 299, world.y, -1)
    most = np.where(np.arange(600) < 301, world.y, -1)
    assert is_doubted(world.tell(half))
    assert not is_doubted(world.tell(most))
    assert not is_doubted(world.tell(half, images=False))


@pytest.mark.parametrize("leak", [0.02, 0.3, 0.6])
def test_the_leak_is_the_likeliest_one(leak):
    """Beside a search of the same likelihood, image by image and class by class."""
    rng = np.random.default_rng(1)
    y, prior = rng.integers(5, size=500), np.array([0.4, 0.3, 0.1, 0.1, 0.1])
    told = np.where(rng.random(500) < leak, rng.choice(5, 500, p=prior), y)
    said = normalise_logs(4 * np.eye(5)[told] + np.log(prior))
    seen = 3 * (3 * np.eye(5)[y] + rng.standard_normal((500, 5)))

    def score(rate: float) -> float:
        total = -0.5 * (np.log(rate / (1 - rate)) - USUAL_LEAK) ** 2
        for q, r in zip(np.exp(said), np.exp(seen), strict=True):
            total += np.log(sum(((1 - rate) * q[c] + rate * prior[c]) * r[c] for c in range(5)))
        return total

    rates = np.linspace(0.005, 0.95, 190)
    best = rates[np.argmax([score(rate) for rate in rates])]
    found = estimate_leak(said, seen, prior)
    assert found == pytest.approx(best, abs=0.006)
    assert found == pytest.approx(leak, abs=0.12)
