"""Hypotheses about the labels that compete: right, wrong carelessly, wrong by sight; from different first beliefs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from gpt4image.label.weigh.channel import fit_channel
from gpt4image.label.weigh.first_belief import find_first_belief, list_first_beliefs
from gpt4image.label.weigh.hypothesis import Hypothesis
from gpt4image.label.weigh.log_space import normalise_logs
from gpt4image.label.weigh.prepare import Problem

PRESUMPTION = 3.0
"""Nats by which labels must be likelier as wrong ones than as right ones."""
SIGHT_PRESUMPTION = 12.0
"""Nats by which labels must be likelier as wrong on ambiguous images than as right or as wrong carelessly.

Who sees the image explains both nearly as well: within 6 nats where it is not so, 13 to 66 apart where it is.
"""
AGREEMENT_OF_STARTS = 0.5
"""Of the log-likelihood of the picks, where labels err systematically and only the first belief is open.

What others' labels teach repeats such errors and makes them likelier; picks know better. It gained 0.9 nats of labels
or more for one of picks where errors go to two classes, 0.4 at most where it lost, 40 % labelled as the most similar
class. From 0.4 to 0.9 it is all the same.
"""
CLEAR = 1 / 3
"""Share of the labelled images that counts as clear: those on which who learnt from the labels is surest."""
MOST_DISAGREED = 0.2
"""Disagreement with the labels of clear images, as a share of that with all labels, of who may judge ambiguous images.

Labels given by sight are wrong on images that are hard for a model of these very labels: with picks right for 86 % and
more, and texts without picks, it was 0.04 to 0.16. A describer errs on what is hard for itself, 0.23 to 0.45 where
picks were right for 68 and 71 %, and was believed where labels knew more. Careless errors are everywhere: 1.
"""
LEAST_LABELS_OF_NOISE = 60
SHARPENING = 2.0
"""Power of what models of the labels read in images whose label they did not see, as a first belief."""
FIRST_RATE = 0.2
"""Label noise that is assumed at first where nothing but labels teaches the classes."""
JUDGED_ROUNDS = 2
"""Rounds of EM after which hypotheses are compared.

After one, what picks and names say at first may still be far off. Each further one hands on a little of the labels that
are held out, by what is believed of other images, until no label looks wrong.
"""
LEAST_RIGHT = 0.95
"""Share of a describer's picks, or classes of its texts, that image features leave right; below it, they are doubted.

Where all errors were on ambiguous images it was 0.956 to 1, where a third or a fifth was wrong whatever the image looks
like, 0.7 to 0.91.
"""


def compete(problem: Problem) -> dict[str, Hypothesis]:
    """Hypotheses by name, each followed until it can be judged; `clean` is always one of them."""
    problem, told = _doubt_describers(problem, list_first_beliefs(problem))
    labels, num_classes = problem.labels, problem.num_classes
    labelled = np.flatnonzero(labels >= 0)
    outside, heard = find_first_belief(problem, told)
    right = np.eye(num_classes, dtype=outside.dtype)[labels[labelled]]
    wrong = (1 - FIRST_RATE) * right + FIRST_RATE / num_classes
    as_told, by_labels = _list_starts(problem, outside, right)
    first, clean = _follow_clean(problem, as_told, by_labels, right, wrong)
    found = {"clean": clean}
    if len(labelled) < LEAST_LABELS_OF_NOISE:
        return found
    believed = {}
    if heard.any():
        believed["all"] = _believe_both(problem, outside, heard)
    read = np.exp(normalise_logs(clean.pooled * SHARPENING))
    reading = _believe_both(problem, read, np.ptp(read, axis=1) > 0)
    if not problem.picks:
        believed["reading"] = reading
    if not problem.picks or first is by_labels:
        believed["labels"] = first, wrong
    several = len(problem.points) + len(problem.picks) > 1
    trusted = problem.image_weight is None  # Else what others say comes from the images' own features by now.
    kinds: dict[str, tuple[Literal["careless", "by sight"], np.ndarray, np.ndarray]]
    kinds = {f"careless, from {name}": ("careless", *start) for name, start in believed.items()}
    if several and trusted and problem.points:
        kinds["by sight, from others"] = "by sight", outside * heard[:, None], np.full_like(right, 1 / num_classes)
    for name, (kind, belief, likelihood) in kinds.items():
        one = Hypothesis(problem, belief, likelihood, kind, clean.find_views()).follow(JUDGED_ROUNDS)
        one.refuted = kind == "by sight" and not _agree_where_clear(one)
        found[name] = one
    if problem.picks and choose(found).kind == "careless":  # Else poor describers make right labels look wrong, too.
        found["careless, from reading"] = Hypothesis(problem, *reading, "careless").follow(JUDGED_ROUNDS)
    return found


def _doubt_describers(problem: Problem, told: Mapping[str, np.ndarray]) -> tuple[Problem, Mapping[str, np.ndarray]]:
    """What is believed by describers, put right where they err more than is presumed; and features' weight by that.

    The class that each describer says, or whose name and cluster a text is in, is taken for a label, and image features
    for the only other witness. If it is wrong whatever the image looks like, as labels may be, features that learnt
    from it all the same tell where; errors on ambiguous images stay as they are. Asked only where most images have no
    label to tell it.

    Args:
        told: [N, C] by describer; zeros where nothing was said.

    Returns:
        the problem, with the weight under which features foretold what they doubt; and [N, C] by describer.
    """
    image, num_labels = problem.image, int((problem.labels >= 0).sum())
    if image is None or 2 * num_labels > len(problem.labels):
        return problem, told
    believed, weights = dict(told), []
    for name, belief in told.items():
        spoken = np.flatnonzero(belief.any(1))
        said = np.full(len(belief), -1)
        said[spoken] = belief[spoken].argmax(1)
        alone = replace(
            problem,
            labels=said,
            picks=(),
            points={image: problem.points[image]},
            present={image: problem.present[image]},
            kinds={image: "image"},
            texts={},
            class_vectors={},
            gold=np.zeros(len(said), bool),
        )
        chosen = choose(compete(alone))
        if chosen.kind == "clean":
            continue
        chosen.settle()
        if chosen.belief[spoken, said[spoken]].mean() < LEAST_RIGHT:
            believed[name] = np.where(belief.any(1, keepdims=True), chosen.belief, 0)
            weights.append(chosen.weights[image])
    return (replace(problem, image_weight=float(np.mean(weights))) if weights else problem), believed


def _list_starts(problem: Problem, outside: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First beliefs [N, C] with the labels taken for right: of other images what picks or names say, or else only of
    the classes that no label teaches. Experts that learn from poor names alone would be lost before labels are heard.
    """
    labelled = problem.labels >= 0
    as_told, by_labels = outside.copy(), outside.copy()
    by_labels[:, np.unique(problem.labels[labelled])] = 0
    as_told[labelled] = by_labels[labelled] = right
    return as_told, by_labels


def _follow_clean(
    problem: Problem, as_told: np.ndarray, by_labels: np.ndarray, right: np.ndarray, wrong: np.ndarray
) -> tuple[np.ndarray, Hypothesis]:
    """The hypothesis that labels are right, begun with what foretells held-out labels better; and that first belief.

    They are compared after one round. Later, unlabelled images have been read by the very labels that are held out, and
    pass them on, wrong ones, too. So that is also when right and wrong labels are told apart, if only labels teach.
    """
    starts = [as_told] if (as_told == by_labels).all() else [as_told, by_labels]
    likelihood = 0.999 * right + 1e-3 / problem.num_classes
    found = [(start, Hypothesis(problem, start, likelihood, "clean").follow(1)) for start in starts]
    first, clean = max(found, key=lambda one: one[1].log_likelihood)
    if first is by_labels and len(right) >= LEAST_LABELS_OF_NOISE:
        rival = Hypothesis(problem, first, wrong, "careless").follow(1)
        clean.refuted = _presume(rival) > clean.score
    return first, clean.follow(JUDGED_ROUNDS)


def _agree_where_clear(seen: Hypothesis) -> bool:
    """Whether who judges ambiguous images agrees with the labels where the image is clear to who learnt from them."""
    labels = seen.problem.labels[seen.labelled]
    (view,) = seen.views.values()
    clear = np.argsort(-normalise_logs(view[seen.labelled]).max(1), kind="stable")[: int(np.ceil(CLEAR * len(labels)))]
    differ = seen.pooled[seen.labelled].argmax(1) != labels
    return bool(differ[clear].mean() <= MOST_DISAGREED * differ.mean())


def choose(found: Mapping[str, Hypothesis]) -> Hypothesis:
    """The hypothesis under which the labels are likeliest; rarer kinds of noise have to be likelier by so much."""
    possible = [one for one in found.values() if not one.refuted]
    best = max((one for one in possible if one.kind != "by sight"), key=_presume)
    seen = [one for one in possible if one.kind == "by sight"]
    chosen = max([best, *seen], key=lambda one: _presume(one) - SIGHT_PRESUMPTION * (one.kind == "by sight"))
    if chosen.kind != "careless" or not chosen.channel.is_systematic:
        return chosen
    starts = [one for one in possible if one.kind == "careless"]
    return max(starts, key=lambda one: one.label_score + AGREEMENT_OF_STARTS * one.agreement)


def _presume(one: Hypothesis) -> float:
    return one.score - PRESUMPTION * (one.kind != "clean")


def _believe_both(problem: Problem, outside: np.ndarray, heard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What picks or names and labels say together, with the noise that makes the labels likeliest; and P(label | y)."""
    labelled = np.flatnonzero(problem.labels >= 0)
    labels, folds = problem.labels[labelled], problem.folds[labelled]
    belief = np.where(heard[:, None], outside, 1 / problem.num_classes)
    channel = fit_channel(belief[labelled], labels, {}, folds, None)
    likelihood = channel.compute_likelihood(labels, {}, folds).astype(outside.dtype)
    belief[labelled] *= likelihood
    belief /= belief.sum(1, keepdims=True)
    belief[~heard & (problem.labels < 0)] = 0
    return belief, likelihood
