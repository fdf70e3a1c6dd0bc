"""METHOD section 6: each of the nine ways in which the former reader failed."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import cross_val_predict
from tests.label.weigh.world import keep, make_world, spoil

from gpt4image.label.weigh import Evidence, Picks, Vectors, weigh
from gpt4image.label.weigh.evidence import NONE_OF_THESE

OVERRULED = 1


def right(weighed, y):
    return (weighed.classes[:, 0] == y).mean()


@pytest.mark.parametrize("what", ["texts", "picks"])
def test_texts_or_picks_of_other_images_overrule_no_label(what):
    world = make_world()
    rng = np.random.default_rng(1)
    chosen = np.flatnonzero(rng.random(len(world.y)) < 0.3)
    rows = np.arange(len(world.y))
    rows[chosen] = rng.permutation(chosen)
    told = world.tell(world.y, text_rows=rows) if what == "texts" else world.tell(world.y, pick=world.pick[rows])
    assert (weigh(told).states == OVERRULED).mean() <= 0.001


@pytest.mark.parametrize(("kind", "share"), [("uniform", 0.4), ("next", 0.4), ("uniform", 0.2), ("next", 0.2)])
def test_noise_is_found_and_put_right(kind, share):
    world = make_world()
    labels = spoil(world.y, share, 5, step=1 if kind == "next" else None)
    weighed = weigh(world.tell(labels))
    assert right(weighed, world.y) > max((world.pick == world.y).mean(), 0.95)
    assert weighed.reliability["labels"]["accuracy"] == pytest.approx(1 - share, abs=0.04)


def test_two_classes_with_symmetric_noise():
    world = make_world(num_classes=2, size=300)
    labels = spoil(world.y, 0.27, 2)
    weighed = weigh(world.tell(labels))
    assert right(weighed, world.y) > 0.93
    assert average_precision_score(labels != world.y, weighed.doubt) > 0.9


def spoil_ambiguous(world, share):
    """Labels of which a share is the runner-up of a model of the images, where it is least sure of the class."""
    seen = cross_val_predict(LogisticRegression(C=0.1), world.features, world.y, cv=5, method="predict_proba")
    every = np.arange(len(world.y))
    own = seen[every, world.y].copy()
    seen[every, world.y] = -1
    chosen = np.argsort(own - seen.max(1))[: round(share * len(own))]
    labels = world.y.copy()
    labels[chosen] = seen[chosen].argmax(1)
    return labels


def test_labels_on_ambiguous_images_are_put_right_by_picks():
    world = make_world(image_noise=2.5, pick_right=0.95)
    assert right(weigh(world.tell(spoil_ambiguous(world, 0.2))), world.y) > 0.945


def test_more_labels_never_hurt():
    world = make_world()
    shares = [right(weigh(world.tell(keep(world.y, k))), world.y) for k in (0, 1, 3, 10, 10_000)]
    assert all(after > before - 0.005 for before, after in pairwise(shares))
    assert shares[-1] == 1


def test_labels_in_half_of_the_classes_do_not_hide_the_others():
    world = make_world()
    none, half = (
        right(weigh(world.tell(labels)), world.y) for labels in (keep(world.y, 0), keep(world.y, 10, range(2)))
    )
    assert half > none - 0.005


def test_clusters_do_not_spoil_what_names_tell():
    """Many classes of ten images each: a mixture that was believed without asking was right for 4 %."""
    world = make_world(num_classes=40, size=400, text_noise=0.6)
    named = right(weigh(world.tell(keep(world.y, 0), picks=False, images=False)), world.y)
    nearest = ((world.texts[:, None] - world.names) ** 2).sum(2).argmin(1)
    assert named > (nearest == world.y).mean() - 0.1


def test_long_tail_shares_are_estimated():
    world = make_world(size=2000)
    sizes = [200, 100, 50, 20, 10]
    rows = np.concatenate([np.flatnonzero(world.y == c)[:n] for c, n in enumerate(sizes)])
    told = Evidence(
        5,
        np.full(len(rows), -1),
        (Picks("p", world.pick[rows], np.full(len(rows), -1), np.full(len(rows), np.nan)),),
        (Vectors("t", "text", world.texts, rows),),
        Vectors("i", "image", world.features, rows),
    )
    shares = np.array(weigh(told).reliability["shares"])
    assert np.abs(shares - np.array(sizes) / sum(sizes)).mean() < 0.02


def test_images_of_no_class_are_found():
    world = make_world(num_classes=6, size=900)
    strange = world.y == 5
    labels = np.where(strange, -1, keep(world.y, 20))
    pick = np.where(strange & (np.arange(900) % 10 > 0), NONE_OF_THESE, world.pick)
    pick = np.where(pick == 5, NONE_OF_THESE, pick)
    told = world.tell(labels, pick=pick)
    told = Evidence(
        5, told.given, told.picks, (Vectors("t", "text", world.texts, np.arange(900), world.names[:5]),), told.images
    )
    weighed = weigh(told)
    is_open = weighed.states == 3
    assert is_open[strange].mean() > 0.7
    assert is_open[~strange].mean() <= 0.03


@pytest.mark.parametrize("count", [3, 5])
def test_few_labelled_images_do_not_show_that_others_are_of_no_class(count):
    """Thirty known images leave open whether a twentieth of all is stranger than they: no evidence, nothing is open."""
    for seed in range(3):
        world = make_world(num_classes=10, size=1000, seed=seed, text_noise=1.5, image_noise=3)
        assert not (weigh(world.tell(keep(world.y, count))).states == 3).any()


def test_whole_answers_of_other_images_overrule_no_label():
    """Texts and picks fail together: a list that slipped by a row. The images know, as their labels can be foretold."""
    for seed in range(3):
        world = make_world(num_classes=10, size=1000, seed=seed, image_noise=3)
        source = np.arange(1000)
        chosen = np.flatnonzero(np.random.default_rng(seed).random(1000) < 0.3)
        source[chosen] = np.roll(chosen, 1)
        weighed = weigh(world.tell(world.y, pick=world.pick[source], text_rows=source))
        assert (weighed.states == OVERRULED).mean() <= 0.001
        assert 0.2 < weighed.reliability["leak"] < 0.6


def test_whole_answers_of_other_images_are_no_labels_by_sight():
    """Twenty classes: labels by sight explain nearly as much, but features do not foretell the picks."""
    world = make_world(num_classes=20, size=600, text_noise=2, image_noise=2, pick_right=0.8)
    source, rng = np.arange(600), np.random.default_rng(1)
    chosen = np.flatnonzero(rng.random(600) < 0.3)
    source[chosen] = rng.permutation(chosen)
    weighed = weigh(world.tell(world.y, pick=world.pick[source], text_rows=source))
    assert (weighed.states == OVERRULED).mean() <= 0.001


@pytest.mark.parametrize("share", [0, 0.2])
def test_poor_texts_with_names_that_say_nothing_overrule_no_label(share):
    """Without picks; a fifth of the labels as the runner-up of ambiguous images is more than such texts can tell."""
    world = make_world(num_classes=20, size=600, text_noise=6, image_noise=2)
    world.names[:] = np.random.default_rng(5).standard_normal(world.names.shape)
    labels = spoil_ambiguous(world, share)
    assert (weigh(world.tell(labels, picks=False)).states == OVERRULED).mean() <= 0.001


@pytest.mark.parametrize("count", [3, 10])
def test_names_that_say_nothing_do_not_drown_a_few_labels(count):
    """Experts were taught by names first, of twenty times as many images as there were labels."""
    world = make_world(num_classes=20, size=1200, text_noise=2, image_noise=1.5)
    world.names[:] = np.random.default_rng(5).standard_normal(world.names.shape)
    given = keep(world.y, count)
    alone = right(weigh(world.tell(given, picks=False, texts=False)), world.y)
    together = weigh(world.tell(given, picks=False))
    assert right(together, world.y) > alone - 0.005
    assert not (together.states == OVERRULED).any()


def test_wrong_ones_among_few_labels_are_found_without_picks():
    """Unlabelled images that a wrong label has taught confirm it: it must be judged before they are learnt from."""
    world = make_world(num_classes=10, size=1000, text_noise=2, image_noise=1.5)
    world.names[:] = np.random.default_rng(5).standard_normal(world.names.shape)
    given = keep(world.y, 15)
    given[given >= 0] = spoil(given[given >= 0], 0.3, 10)
    weighed = weigh(world.tell(given, picks=False))
    overruled = weighed.states == OVERRULED
    assert overruled.sum() > 15
    assert (given != world.y)[overruled].mean() > 0.8


@pytest.mark.filterwarnings("error")
def test_picks_of_other_images_than_the_labelled_ones_judge_no_label():
    world = make_world()
    labelled = np.arange(len(world.y)) < 300
    told = world.tell(np.where(labelled, world.y, -1), pick=np.where(labelled, -1, world.pick))
    assert not (weigh(told).states == OVERRULED).any()


def test_look_alike_errors_of_the_describer_overrule_no_label():
    """30 of 100 images of class 0 are described and picked as class 1."""
    world = make_world(size=500)
    alike = np.flatnonzero(world.y == 0)[:30]
    source = np.flatnonzero((world.y == 1) & (world.pick == 1))[:30]
    world.texts[alike], world.pick[alike] = world.texts[source], 1
    assert (weigh(world.tell(world.y)).states == OVERRULED).mean() <= 0.001


def test_noise_is_told_over_labels_and_not_over_classes():
    """A rare class that is always labelled wrong is few labels."""
    world = make_world(size=1000)
    rare = np.flatnonzero(world.y == 0)[20:]
    rows = np.setdiff1d(np.arange(1000), rare)
    y = world.y[rows]
    labels = np.where(y == 0, 1, y)
    told = Evidence(
        5,
        labels,
        (Picks("p", world.pick[rows], np.full(len(rows), -1), np.full(len(rows), np.nan)),),
        (Vectors("t", "text", world.texts, rows),),
        Vectors("i", "image", world.features, rows),
    )
    assert weigh(told).reliability["labels"]["accuracy"] > 0.95


def test_confusions_are_put_right_by_image_features_alone():
    """In many dimensions, where a model of wrong labels foretells labels less well than one of the classes."""
    world = make_world(image_noise=0.8)
    more = np.random.default_rng(5).standard_normal((600, 200)).astype(np.float32)
    world.features = np.hstack([world.features, more])
    labels = spoil(world.y, 0.4, 5, step=1)
    assert right(weigh(world.tell(labels, picks=False, texts=False, names=False)), world.y) > 0.95


def test_what_cannot_be_told_is_said():
    world = make_world()
    nothing = weigh(world.tell(keep(world.y, 0), pick=world.y)).reliability["cannot_tell"]
    assert any("systematic errors of picks and texts cannot be seen" in line for line in nothing)
    few = weigh(world.tell(keep(world.y, 2))).reliability["cannot_tell"]
    assert any("10 labels are too few to judge labels by" in line for line in few)
    single = weigh(world.tell(world.y, picks=False, texts=False)).reliability["cannot_tell"]
    assert any("net is the only witness beside the labels" in line for line in single)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("given", ["labels", "no labels"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_few_texts_that_are_all_the_same_tell_nothing(count, given):
    world = make_world(size=60)
    world.texts[:] = world.texts[0]
    rows = np.where(np.arange(60) < count, np.arange(60), -1)
    labels = world.y if given == "labels" else np.full(60, -1)
    weighed = weigh(world.tell(labels, picks=False, text_rows=rows))
    assert np.isfinite(weighed.probabilities).all()
    if given == "labels":
        assert (weighed.classes[:, 0] == world.y).all()
