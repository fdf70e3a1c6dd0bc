"""Hypotheses about the labels that compete: right, wrong carelessly, wrong by sight; from different first beliefs."""

import numpy as np

from gpt4image.label.weigh.class_names import fit_name_reader
from gpt4image.label.weigh.clusters import find_clusters
from gpt4image.label.weigh.hypothesis import Hypothesis, Problem, fit_channel
from gpt4image.label.weigh.log_space import normalise_logs

PRESUMPTION = 3.0
"""Nats by which labels must be likelier as wrong ones than as right ones."""
LEAST_LABELS_OF_NOISE = 30
FIRST_RATES = (0.2, 0.5)
"""Label noise that is assumed at first where nothing but labels teaches the classes."""
PICK_RIGHT = 0.9
"""Belief in a pick before anything is known about the describer."""


def compete(problem: Problem) -> dict[str, Hypothesis]:
    """Hypotheses by name, each followed to its end; `clean` is always one of them."""
    labels, num_classes = problem.labels, problem.num_classes
    labelled = np.flatnonzero(labels >= 0)
    outside, heard = find_first_belief(problem)
    right = np.eye(num_classes)[labels[labelled]]
    as_labelled = outside.copy()
    as_labelled[labelled] = right
    found = {"clean": Hypothesis(problem, as_labelled, 0.999 * right + 1e-3 / num_classes, "clean").follow(2)}
    if len(labelled) < LEAST_LABELS_OF_NOISE:
        return found
    starts = {}
    if heard.any():
        starts["all"] = _believe_both(problem, outside, heard)
    if not problem.picks:
        for rate in FIRST_RATES:
            starts[f"{rate}"] = as_labelled, (1 - rate) * right + rate / num_classes
    several = len(problem.points) + len(problem.picks) > 1
    for name, (belief, likelihood) in starts.items():
        for kind in ("careless", "by sight") if several and problem.points else ("careless",):
            found[f"{kind}, from {name}"] = Hypothesis(problem, belief, likelihood, kind).follow(3)
    return found


def choose(found: dict[str, Hypothesis]) -> Hypothesis:
    """The hypothesis under which the labels are likeliest; wrong labels have to be likelier by `PRESUMPTION`."""
    return max(found.values(), key=lambda one: one.score - PRESUMPTION * (one.kind != "clean"))


def _believe_both(problem: Problem, outside: np.ndarray, heard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What picks or names and labels say together, with the noise that makes the labels likeliest; and P(label | y)."""
    labelled = np.flatnonzero(problem.labels >= 0)
    labels, folds = problem.labels[labelled], problem.folds[labelled]
    belief = np.where(heard[:, None], outside, 1 / problem.num_classes)
    channel = fit_channel(belief[labelled], labels, {}, folds, None)
    likelihood = channel.compute_likelihood(labels, {}, folds)
    belief[labelled] *= likelihood
    belief /= belief.sum(1, keepdims=True)
    belief[~heard & (problem.labels < 0)] = 0
    return belief, likelihood


def find_first_belief(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """What is believed without labels, and of which images: by picks, or else by class names and clusters."""
    belief = np.zeros((len(problem.labels), problem.num_classes))
    for picks in problem.picks:
        has = np.flatnonzero(picks.first >= 0)
        belief[has] += (1 - PICK_RIGHT) / problem.num_classes
        belief[has, picks.first[has]] += PICK_RIGHT
    if not problem.picks:
        uniform = np.full(problem.num_classes, 1 / problem.num_classes)
        for name, vectors in problem.texts.items():
            has = problem.present[name]
            reader = fit_name_reader(vectors[has], problem.class_vectors[name], uniform)
            by_name = np.exp(normalise_logs(reader.read(vectors[has])))
            belief[has] += (by_name + find_clusters(problem.points[name][has, :-1], by_name, problem.labels[has])) / 2
    totals = belief.sum(1, keepdims=True)
    return belief / np.maximum(totals, 1e-9), totals[:, 0] > 0
