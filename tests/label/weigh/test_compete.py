"""Which hypothesis is believed, when that is judged, and how far it is followed."""

import numpy as np
import pytest
from tests.label.weigh.test_poor_describers import describe
from tests.label.weigh.world import keep, make_world, spoil

from gpt4image.label.weigh import weigh
from gpt4image.label.weigh.channel import Channel
from gpt4image.label.weigh.compete import JUDGED_ROUNDS, choose, compete
from gpt4image.label.weigh.hypothesis import MOST_ROUNDS, SETTLED, Hypothesis
from gpt4image.label.weigh.prepare import prepare


def suppose(kind: str, score: float, leak: float = 0.0) -> Hypothesis:
    problem = prepare(make_world(num_classes=2, size=8).tell(np.full(8, -1)), 0).problem
    one = Hypothesis(problem, np.full((8, 2), 0.5), np.empty((0, 2)), kind, leak=leak, label_score=score)
    one.channel = Channel(2)
    return one


@pytest.mark.parametrize("leak", [0.0, 0.4])
@pytest.mark.parametrize(
    ("careless", "by_sight", "chosen"),
    [
        (-104.0, -200.0, "clean"),
        (-98.0, -200.0, "clean"),
        (-96.0, -200.0, "careless"),
        (-200.0, -91.0, "clean"),
        (-200.0, -84.0, "by sight"),
        (-90.0, -79.0, "careless"),
        (-90.0, -77.0, "by sight"),
    ],
)
def test_rarer_kinds_of_noise_have_to_be_likelier_by_more(careless, by_sight, chosen, leak):
    """By three nats and by twelve: ten right labels a class seemed given by sight by six."""
    found = {"right": suppose("clean", -100.0, leak)}
    found |= {"careless": suppose("careless", careless), "seen": suppose("by sight", by_sight)}
    assert choose(found).kind == chosen


def test_what_is_chosen_goes_on_until_it_settles_and_keeps_its_score():
    world = make_world(num_classes=8, size=640, text_noise=2.5, image_noise=3, pick_right=0.75)
    problem = prepare(world.tell(spoil(world.y, 0.3, 8)), 0).problem
    found = compete(problem)
    assert {one.rounds for one in found.values()} == {JUDGED_ROUNDS}
    chosen, again = choose(found), choose(compete(problem))
    assert chosen.kind == "careless"
    score = chosen.score
    chosen.settle()
    assert chosen.score == score
    for number in range(JUDGED_ROUNDS + 1, MOST_ROUNDS + 1):
        before = again.belief.argmax(1)
        again.follow(number)
        if (again.belief.argmax(1) != before).mean() <= SETTLED:
            break
    assert chosen.rounds == number
    np.testing.assert_array_equal(chosen.belief, again.belief)
    assert again.score != score


def test_a_few_labels_are_heard_until_all_is_settled():
    """Five labels a class, no picks: after two rounds 63 % are right, once settled 70 %."""
    right = []
    for seed in range(2):
        world = make_world(num_classes=10, size=600, seed=seed, text_noise=3, image_noise=3.5)
        weighed = weigh(world.tell(keep(world.y, 5), picks=False))
        right.append((weighed.classes[:, 0] == world.y).mean())
    assert np.mean(right) > 0.67


@pytest.mark.parametrize(
    ("agreement", "systematic", "chosen"),
    [(-50.0, True, "reading"), (-70.0, True, "picks"), (-140.0, False, "reading"), (-160.0, False, "picks")],
)
def test_of_two_starts_picks_count_half_where_errors_are_systematic(agreement, systematic, chosen):
    """Thirty nats of labels; as evidence that labels are wrong at all, picks count for a fifth."""
    found = {"right": suppose("clean", -200.0)}
    found |= {"picks": suppose("careless", -100.0), "reading": suppose("careless", -70.0)}
    for one in found.values():
        one.channel = Channel(2, similar=0.2 * systematic)
    found["reading"].agreement = agreement
    assert choose(found) is found[chosen]


@pytest.mark.parametrize(("share", "least"), [(0.2, 0.84), (0.4, 0.73)])
def test_labels_teach_more_than_a_poor_describer(share, least):
    """Who is right for 62 % was believed outright: what features learnt from him agrees with him."""
    world, told = describe(1.0)
    assert (told == world.y).mean() < 0.63
    weighed = weigh(world.tell(spoil(world.y, share, 10), pick=told))
    assert (weighed.classes[:, 0] == world.y).mean() > least


@pytest.mark.parametrize(("share", "follows"), [(0.0, False), (0.3, True)])
def test_reading_is_another_first_belief_once_labels_are_found_wrong(share, follows):
    """As a judge of that it overruled 1 % of right labels of CIFAR-10, beside picks right for 68 %, 30 % exchanged."""
    world = make_world(num_classes=8, size=640, image_noise=2.5)
    found = compete(prepare(world.tell(spoil(world.y, share, 8)), 0).problem)
    assert ("careless, from reading" in found) is follows
    assert choose(found).kind == ("careless" if follows else "clean")


def test_errors_made_over_and_over_are_told_by_picks():
    """Two fifths of the labels are of the next class: others' labels teach just that."""
    world, told = describe(2.0)
    found = compete(prepare(world.tell(spoil(world.y, 0.4, 10, step=1), pick=told), 0).problem)
    assert choose(found) is found["careless, from all"]
    right = {name: (one.belief.argmax(1) == world.y).mean() for name, one in found.items()}
    assert right["careless, from all"] > right["careless, from reading"] + 0.02
