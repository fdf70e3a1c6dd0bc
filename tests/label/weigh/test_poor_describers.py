"""Describers who are wrong more often than the labels, in picks and texts alike, and most where the image is hard."""

import numpy as np
import pytest
from tests.label.weigh.test_doubted_describers import see
from tests.label.weigh.test_failures import OVERRULED, right, spoil_ambiguous
from tests.label.weigh.world import make_world

from gpt4image.label.weigh import weigh
from gpt4image.label.weigh.compete import compete
from gpt4image.label.weigh.prepare import prepare


def describe(noise: float, image_noise: float = 2.5):
    """A world, and what its describer takes each image for, who writes texts of just that."""
    world = make_world(num_classes=10, size=800, image_noise=image_noise)
    told = see(world, noise, seed=9)
    rng = np.random.default_rng(3)
    world.texts = (world.names[told] + rng.standard_normal(world.texts.shape)).astype(np.float32)
    return world, told


@pytest.mark.parametrize("noise", [1.5, 2.0])
def test_they_overrule_no_right_label(noise):
    """Labels by sight would explain all of it: who sees the image as the describer does disagrees where it is hard."""
    world, told = describe(noise)
    assert 0.5 < (told == world.y).mean() < 0.6
    weighed = weigh(world.tell(world.y, pick=told))
    assert (weighed.states == OVERRULED).mean() <= 0.001
    assert any("either may be wrong there" in one for one in weighed.reliability["cannot_tell"])


def test_of_good_describers_and_right_labels_nothing_of_the_kind_is_said():
    world, told = describe(0.5, image_noise=1.0)
    assert (told == world.y).mean() > 0.85
    weighed = weigh(world.tell(world.y, pick=told))
    assert not any("either may be wrong" in one for one in weighed.reliability["cannot_tell"])


def test_they_do_not_judge_labels_of_ambiguous_images():
    """A fifth of the labels is wrong there, half of the describer's answers."""
    world, told = describe(2.0)
    assert right(weigh(world.tell(spoil_ambiguous(world, 0.2), pick=told)), world.y) > 0.79


@pytest.mark.parametrize(("noise", "refuted"), [(0.5, False), (2.0, True)])
def test_who_disagrees_on_clear_images_is_refused(noise, refuted):
    world, told = describe(noise)
    found = compete(prepare(world.tell(spoil_ambiguous(world, 0.2), pick=told), 0).problem)
    assert found["by sight, from others"].refuted is refuted
