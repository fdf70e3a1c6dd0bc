"""How witnesses are weighed: our way, and two earlier ones to compare it with."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gpt4image.images import UNLABELLED
from gpt4image.label.dawid_skene import weigh_votes
from gpt4image.label.weigh import Evidence, Weighed, weigh
from gpt4image.label.weigh.evidence import STATES


def weigh_all(evidence: Evidence, seed: int) -> Weighed:
    """Every witness by what it is worth; given labels that nothing else speaks about stay as they are."""
    if evidence.picks or evidence.texts or evidence.images is not None:
        return weigh(evidence, seed)
    alone = weigh_by_dawid_skene(evidence, seed)
    return replace(alone, reliability={"cannot_tell": ["whether given labels are right: no other witness speaks"]})


def weigh_texts(evidence: Evidence, seed: int) -> Weighed:
    """Labels and texts alone, neither picks nor the images themselves."""
    return weigh_all(replace(evidence, picks=(), images=None), seed)


def weigh_by_dawid_skene(evidence: Evidence, seed: int) -> Weighed:
    """Given labels and picks as annotators with a confusion matrix each."""
    votes = [evidence.given, *(picks.first for picks in evidence.picks)]
    belief, _ = weigh_votes(votes, evidence.num_classes)
    given, every = evidence.given, np.arange(len(evidence.given))
    classes = np.argsort(-belief, axis=1, kind="stable")[:, :20]
    values = np.take_along_axis(belief, classes, 1)
    heard = np.any([vote != UNLABELLED for vote in votes], axis=0)
    proposed = np.where(heard, classes[:, 0], UNLABELLED)
    of_label = np.where(given == UNLABELLED, np.nan, belief[every, np.maximum(given, 0)])
    states = np.select(
        [~heard, given == UNLABELLED, proposed == given],
        [STATES.index(state) for state in ("open", "completed", "kept")],
        STATES.index("overruled"),
    ).astype(np.int8)
    doubt = np.log((1 - of_label + 1e-12) / (of_label + 1e-12)).astype(np.float32)
    return Weighed(classes, values, np.zeros(len(given), np.float32), {}, doubt, states, proposed, {})


METHODS: dict[str, Callable[[Evidence, int], Weighed]] = {
    "weighed": weigh_all,
    "texts": weigh_texts,
    "dawid_skene": weigh_by_dawid_skene,
}
