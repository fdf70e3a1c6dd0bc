"""Weighs the evidence: hypotheses about the labels compete, the best one gives every image its probabilities."""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from gpt4image.label.weigh.compete import choose, compete
from gpt4image.label.weigh.evidence import NONE_OF_THESE, STATES, Evidence, Weighed
from gpt4image.label.weigh.hypothesis import Hypothesis
from gpt4image.label.weigh.judge import judge
from gpt4image.label.weigh.prepare import prepare, read_labels
from gpt4image.label.weigh.reliability import estimate_accuracy, find_confusions, list_unknown
from gpt4image.label.weigh.strangeness import ClassShapes, combine_strangeness, estimate_none


def weigh(evidence: Evidence, seed: int = 0) -> Weighed:
    """Weighs all witnesses of all images.

    Args:
        evidence: what is known.
        seed: of folds, and of the choice of images that are fitted on.
    """
    # Thousands of small products: several threads of BLAS mostly wait for each other.
    with threadpool_limits(1, user_api="blas"):
        return _weigh(evidence, seed)


def _weigh(evidence: Evidence, seed: int) -> Weighed:
    prepared = prepare(evidence, seed)
    found = compete(prepared.problem)
    chosen = choose(found)
    for one in found.values():
        if one is not chosen and one.kind != "clean":
            one.forget()
    chosen.settle()
    shapes = {
        name: ClassShapes(points[has, :-1], chosen.belief[has])
        for name, points in prepared.problem.points.items()
        if (has := prepared.problem.present[name]).any()
    }
    parts = list(judge(evidence, prepared, found["clean"], chosen, shapes))
    return _conclude(evidence, found, chosen, {key: _stack([part[key] for part in parts]) for key in parts[0]})


def _stack(parts: list[Any]) -> Any:
    if isinstance(parts[0], dict):
        return {key: _stack([part[key] for part in parts]) for key in parts[0]}
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    return np.concatenate(parts)


def _conclude(evidence: Evidence, found: dict[str, Hypothesis], chosen: Hypothesis, said: dict[str, Any]) -> Weighed:
    """Decisions, and what was estimated."""
    labels, by_person = read_labels(evidence)
    labelled = labels >= 0
    likeliest = said["classes"][:, 0]
    known = labelled & (likeliest == labels)
    picked = [picks.first for picks in evidence.picks]
    strangeness = combine_strangeness(list(said["measures"].values()), picked, known)
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
        "leak": chosen.leak,
        "leaks": {name: one.leak for name, one in chosen.calibrations.items()},
        "shares": ((said["shares"].sum(0) + 1e-6) / (said["shares"].sum() + 1e-6 * evidence.num_classes)).tolist(),
        "strangeness": strangeness.astype(np.float32),
        "labels": estimate_accuracy(problem.labels, chosen.belief),
        "confusions": find_confusions(problem.labels, chosen.belief),
        "witnesses": {
            name: estimate_accuracy(
                np.where(np.ptp(one, axis=1) > 0, (one + np.log(chosen.prior)).argmax(1), -1), chosen.belief
            )
            for name, one in chosen.opinions.items()
        },
        "cannot_tell": list_unknown(evidence, problem.labels, found, chosen),
    }
    proposed = np.where(is_open | (none == 1), -1, likeliest)
    return Weighed(
        said["classes"],
        said["values"],
        none,
        said["opinions"],
        said["doubt"],
        states,
        proposed,
        reliability,
        said.get("told"),
    )
