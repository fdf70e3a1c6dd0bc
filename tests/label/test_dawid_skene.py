"""Dawid and Skene's model finds who errs how."""

import numpy as np

from gpt4image.label.dawid_skene import weigh_votes


def test_made_annotators_are_found_and_beat_the_best_of_them() -> None:
    rng, num_images, num_classes = np.random.default_rng(0), 3000, 4
    truth = rng.integers(0, num_classes, num_images)
    right = (0.8, 0.7, 0.6)
    votes = []
    for share in right:
        wrong = (truth + rng.integers(1, num_classes, num_images)) % num_classes
        votes.append(np.where(rng.random(num_images) < share, truth, wrong))
    votes[2][::3] = -1
    belief, matrices = weigh_votes(votes, num_classes)
    accuracies = np.einsum("wcc->w", matrices) / num_classes
    assert np.abs(accuracies - right).max() < 0.04
    assert (belief.argmax(1) == truth).mean() > (votes[0] == truth).mean() + 0.02


def test_one_round_by_hand() -> None:
    belief, matrices = weigh_votes([np.array([0, 1, -1])], 2)
    assert belief[:2].argmax(1).tolist() == [0, 1]
    assert np.allclose(belief[2], belief.mean(0), atol=0.05)
    assert np.allclose(matrices.sum(2), 1)
