"""What the picks alone say, kept beside what everything together says."""

from dataclasses import replace

import numpy as np
import pytest
from tests.label.weigh.world import make_world

from gpt4image.label.weigh import Picks, weigh


def test_the_opinion_of_picks_is_as_sure_as_they_are_right() -> None:
    world = make_world(pick_right=0.8)
    first = world.pick.copy()
    first[:20] = -1
    weighed = weigh(world.tell(world.y, pick=first))
    assert weighed.told is not None
    assert weighed.told.shape == weighed.values.shape
    told = np.zeros((len(first), 5))
    np.put_along_axis(told, weighed.classes, weighed.told.astype(float), 1)
    assert not told[:20].any()
    assert told[20:].sum(1) == pytest.approx(1, abs=2e-3)
    assert (told[20:].argmax(1) == first[20:]).all()
    own = told[20:][np.arange(580), first[20:]]
    assert own.mean() == pytest.approx((first == world.y)[20:].mean(), abs=0.03)
    # The label is right for certain, and the opinion does not know it.
    assert weighed.probabilities[np.arange(600), world.y].min() > 0.99


def test_of_two_describers_it_is_the_mean() -> None:
    world = make_world()
    evidence = world.tell(world.y)
    other = np.roll(world.pick, 1)
    nothing, unsure = np.full(600, -1), np.full(600, np.nan, np.float32)
    second = Picks("other", other, nothing, unsure)
    alone = [weigh(replace(evidence, picks=(one,))).told for one in (evidence.picks[0], second)]
    classes = [weigh(replace(evidence, picks=(one,))).classes for one in (evidence.picks[0], second)]
    both = weigh(replace(evidence, picks=(evidence.picks[0], second)))
    dense = np.zeros((3, 600, 5))
    for place, (kinds, told) in enumerate([*zip(classes, alone, strict=True), (both.classes, both.told)]):
        np.put_along_axis(dense[place], kinds, np.asarray(told, dtype=float), 1)
    assert dense[2] == pytest.approx(dense[:2].mean(0), abs=2e-3)


def test_without_picks_there_is_none() -> None:
    world = make_world()
    assert weigh(world.tell(world.y, picks=False)).told is None
