"""How witnesses are weighed: our way, and two earlier ones to compare it with."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gpt4image.errors import LabelError
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
    votes = [evidence.given, *(np.maximum(picks.first, UNLABELLED) for picks in evidence.picks)]
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


def prune_by_cleanlab(evidence: Evidence, seed: int) -> Weighed:
    """Confident learning (Northcutt et al., arXiv 1911.00068) by cleanlab: labels that it takes for wrong are dropped.

    It judges them by a logistic regression on the image features, cross-fitted, as its authors advise. Images without
    a label stay without.

    Raises:
        LabelError: cleanlab is not installed, or there are no image features.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    try:
        from cleanlab.filter import find_label_issues
    except ModuleNotFoundError as error:
        raise LabelError("--method cleanlab needs the package cleanlab: pip install cleanlab") from error
    if evidence.images is None:
        raise LabelError("--method cleanlab needs --features, by which it judges labels")
    given = evidence.given.copy()
    labelled = np.flatnonzero((given != UNLABELLED) & (evidence.images.rows >= 0))
    _, own = np.unique(given[labelled], return_inverse=True)
    features = evidence.images.vectors[evidence.images.rows[labelled]].astype(np.float32)
    folds = StratifiedKFold(max(2, min(5, np.bincount(own).min())), shuffle=True, random_state=seed)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    probabilities = cross_val_predict(classifier, features, own, cv=folds, method="predict_proba")
    # Its own processes would need to be forked, and those of `compare` are not.
    given[labelled[find_label_issues(own, probabilities, n_jobs=1)]] = UNLABELLED
    return weigh_by_dawid_skene(replace(evidence, given=given, picks=()), seed)


METHODS: dict[str, Callable[[Evidence, int], Weighed]] = {
    "weighed": weigh_all,
    "texts": weigh_texts,
    "dawid_skene": weigh_by_dawid_skene,
    "cleanlab": prune_by_cleanlab,
}
