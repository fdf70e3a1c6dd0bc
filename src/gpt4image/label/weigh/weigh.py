"""Weighs the evidence: hypotheses about the labels compete, the best one gives every image its probabilities."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpt4image.label.weigh.compete import choose, compete
from gpt4image.label.weigh.evidence import NONE_OF_THESE, STATES, Evidence, Weighed
from gpt4image.label.weigh.hypothesis import Hypothesis
from gpt4image.label.weigh.log_space import normalise_logs
from gpt4image.label.weigh.pool import combine
from gpt4image.label.weigh.prepare import CHUNK, Prepared, prepare, read_labels
from gpt4image.label.weigh.reliability import estimate_accuracy, find_confusions
from gpt4image.label.weigh.strangeness import ClassShapes, combine_strangeness, estimate_none
from gpt4image.label.weigh.unseen import hear_unseen

MOST_KEPT = 20
"""Classes of an image of which the probability is kept."""
DOUBT_NOISE = 0.05
"""Label noise by which labels are ranked where none was found: it only has to be above zero."""


def weigh(evidence: Evidence, seed: int = 0) -> Weighed:
    """Weighs all witnesses of all images.

    Args:
        evidence: what is known.
        seed: of folds, and of the choice of images that are fitted on.
    """
    prepared = prepare(evidence, seed)
    found = compete(prepared.problem)
    chosen = choose(found)
    shapes = {
        name: ClassShapes(points[has, :-1], chosen.belief[has])
        for name, points in prepared.problem.points.items()
        if (has := prepared.problem.present[name]).any()
    }
    parts = list(_judge(evidence, prepared, chosen, shapes))
    return _conclude(evidence, found, chosen, {key: _stack([part[key] for part in parts]) for key in parts[0]})


def _stack(parts: list[Any]) -> Any:
    if isinstance(parts[0], dict):
        return {key: _stack([part[key] for part in parts]) for key in parts[0]}
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    return np.concatenate(parts)


def _judge(
    evidence: Evidence, prepared: Prepared, chosen: Hypothesis, shapes: dict[str, ClassShapes]
) -> Iterator[dict[str, Any]]:
    """Everything that is said about each image, in chunks."""
    labels, by_person = read_labels(evidence)
    places = np.full(len(labels), -1)
    places[prepared.rows] = np.arange(len(prepared.rows))
    for start in range(0, len(labels), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(labels)))
        opinions, points = hear_unseen(evidence, prepared, chosen, rows)
        fitted = places[rows] >= 0
        for name, opinion in chosen.opinions.items():
            opinions[name][fitted] = opinion[places[rows][fitted]]
        heard = np.sum([np.abs(one).max(1) > 0 for one in opinions.values()], axis=0) > 0
        pooled = combine(list(opinions.values()), list(chosen.weights.values()), chosen.prior)
        labelled = np.flatnonzero(labels[rows] >= 0)
        likelihood = _likelihood(chosen, opinions, labels[rows], labelled, fitted, places[rows])
        person = by_person[rows][labelled] | (chosen.kind == "clean")
        own = labels[rows][labelled]
        likelihood[person] = 1e-9
        likelihood[person, own[person]] = 1.0
        logits = pooled.copy()
        logits[labelled] += np.log(likelihood + 1e-12)
        belief = np.exp(normalise_logs(logits))
        classes = np.argsort(-belief, axis=1, kind="stable")[:, :MOST_KEPT]
        measures = {}
        for block in [*evidence.texts, *([evidence.images] if evidence.images is not None else [])]:
            if block.name in shapes:
                measures[block.name] = np.where(
                    block.rows[rows] >= 0, shapes[block.name].measure(points[block.name][:, :-1]), np.nan
                )
        probabilities = np.exp(pooled)
        measures["entropy"] = -(probabilities * pooled).sum(1)
        yield {
            "classes": classes,
            "values": np.take_along_axis(belief, classes, 1).astype(np.float16),
            "certain": np.take_along_axis(belief, classes[:, :1], 1)[:, 0],
            "of_label": np.where(labels[rows] >= 0, belief[np.arange(len(rows)), np.maximum(labels[rows], 0)], np.nan),
            "heard": heard | (labels[rows] >= 0),
            "doubt": _doubt(pooled, labels[rows], labelled, likelihood, chosen),
            "measures": measures,
            "opinions": {name: _name(one + np.log(chosen.prior)) for name, one in opinions.items()},
        }


def _likelihood(
    chosen: Hypothesis, opinions: dict, labels: np.ndarray, labelled: np.ndarray, fitted: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """P(label | y) of labelled images, by matrices that did not count the image's own label."""
    views = {name: opinions[name][labelled] + np.log(chosen.fits[name].prior) for name in chosen.fits}
    likelihood = chosen.channel.compute_likelihood(labels[labelled], views)
    if chosen.channel.matrices is not None and fitted[labelled].any():
        own = np.flatnonzero(fitted[labelled])
        folds = chosen.problem.folds[places[labelled][own]]
        likelihood[own] = chosen.channel.compute_likelihood(labels[labelled][own], {}, folds)
    return likelihood


def _doubt(
    pooled: np.ndarray, labels: np.ndarray, labelled: np.ndarray, likelihood: np.ndarray, chosen: Hypothesis
) -> np.ndarray:
    """Log-odds that the label is wrong; where labels seem right, as if a few were wrong."""
    doubt = np.full(len(labels), np.nan, np.float32)
    own = labels[labelled]
    every = np.arange(len(labelled))
    if chosen.kind == "clean":
        likelihood = np.full(likelihood.shape, DOUBT_NOISE / likelihood.shape[1])
        likelihood[every, own] = 1 - DOUBT_NOISE
    logs = normalise_logs(pooled[labelled] + np.log(likelihood + 1e-12))
    right = logs[every, own].copy()
    logs[every, own] = -np.inf
    doubt[labelled] = np.log(np.exp(logs).sum(1) + 1e-30) - right
    return doubt


def _name(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    best = logs.argmax(1)
    probability = np.exp(normalise_logs(logs))[np.arange(len(logs)), best]
    return np.where(np.ptp(logs, axis=1) > 0, best, -1), probability.astype(np.float32)


def _conclude(evidence: Evidence, found: dict[str, Hypothesis], chosen: Hypothesis, said: dict[str, Any]) -> Weighed:
    """Decisions, and what was estimated."""
    labels, by_person = read_labels(evidence)
    labelled = labels >= 0
    likeliest = said["classes"][:, 0]
    known = labelled & (likeliest == labels)
    missing = [picks.first < 0 for picks in evidence.picks]
    strangeness = combine_strangeness(list(said["measures"].values()), missing, known)
    none, limit = estimate_none(strangeness, known)
    if evidence.gold is not None:
        none[evidence.gold == NONE_OF_THESE] = 1
    is_open = ~labelled & (((none > 0.5) & (strangeness > limit)) | ~said["heard"])
    states = np.select(
        [by_person | (none == 1) & (evidence.gold is not None), is_open, labelled & (likeliest == labels), labelled],
        [STATES.index("by_person"), STATES.index("open"), STATES.index("kept"), STATES.index("overruled")],
        STATES.index("completed"),
    ).astype(np.int8)
    problem = chosen.problem
    reliability: dict[str, Any] = {
        "num_classes": evidence.num_classes,
        "hypothesis": next(name for name, one in found.items() if one is chosen),
        "scores": {name: one.score for name, one in found.items()},
        "weights": chosen.weights,
        "leaks": {name: one.leak for name, one in chosen.calibrations.items()},
        "shares": chosen.prior.tolist(),
        "strangeness": strangeness.astype(np.float32),
        "labels": estimate_accuracy(problem.labels, chosen.belief),
        "confusions": find_confusions(problem.labels, chosen.belief),
        "witnesses": {
            name: estimate_accuracy(
                np.where(np.ptp(one, axis=1) > 0, (one + np.log(chosen.prior)).argmax(1), -1), chosen.belief
            )
            for name, one in chosen.opinions.items()
        },
    }
    proposed = np.where(is_open | (none == 1), -1, likeliest)
    return Weighed(
        said["classes"], said["values"], none, said["opinions"], said["doubt"], states, proposed, reliability
    )
