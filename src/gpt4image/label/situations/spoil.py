"""Situations made on purpose: labels hidden, and labels made wrong as they are wrong in practice."""

import numpy as np
from jaxtyping import Float, Int

from gpt4image.errors import SettingsError
from gpt4image.images import UNLABELLED
from gpt4image.label.settings import LabelSettings
from gpt4image.label.situations.choose import confuse_some_labels, keep_some_labels, make_some_labels_wrong
from gpt4image.label.weigh import Vectors


def spoil_labels(
    settings: LabelSettings, labels: Int[np.ndarray, " N"], num_classes: int, features: Vectors | None
) -> Int[np.ndarray, " N"]:
    """The labels of the situation.

    Args:
        settings: how many labels are kept, and which are made wrong.
        labels: as they are.
        num_classes: C.
        features: of the images; which classes are similar and which images ambiguous is told by them.

    Raises:
        SettingsError: similarity is asked for without features.
    """
    if settings.keep_labels != 1:
        labels = keep_some_labels(labels, settings.keep_labels, settings.seed)
    if not settings.wrong_labels:
        return labels
    match settings.wrong_kind:
        case "uniform":
            return make_some_labels_wrong(labels, settings.wrong_labels, num_classes, settings.seed)
        case "next":
            return confuse_some_labels(labels, settings.wrong_labels, num_classes, settings.seed)
    if features is None:
        raise SettingsError(f"--wrong-kind {settings.wrong_kind} needs --features, by which classes are similar")
    vectors = features.vectors[features.rows].astype(np.float32)
    if settings.wrong_kind == "similar":
        similar = find_most_similar(vectors, labels, num_classes)
        return confuse_some_labels(labels, settings.wrong_labels, num_classes, settings.seed, similar)
    return confuse_ambiguous(vectors, labels, settings.wrong_labels, settings.seed)


def find_most_similar(
    vectors: Float[np.ndarray, "N F"], labels: Int[np.ndarray, " N"], num_classes: int
) -> Int[np.ndarray, " C"]:
    """For each class, the other one whose mean feature has the largest cosine with its own, both centred."""
    present = np.unique(labels[labels != UNLABELLED])
    means = np.stack([vectors[labels == label].mean(0) for label in present])
    means = means - means.mean(0)
    means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-12
    cosines = means @ means.T
    np.fill_diagonal(cosines, -np.inf)
    similar = (np.arange(num_classes) + 1) % num_classes
    similar[present] = present[cosines.argmax(1)]
    return similar


def confuse_ambiguous(
    vectors: Float[np.ndarray, "N F"], labels: Int[np.ndarray, " N"], share: float, seed: int
) -> Int[np.ndarray, " N"]:
    """Gives the runner-up as label to the share of images that a classifier finds hardest to tell from it.

    The classifier is a logistic regression on the features, cross-fitted to the labels as they are: noise that depends
    on the image, as when people label what they cannot tell.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labelled = np.flatnonzero(labels != UNLABELLED)
    present, own = np.unique(labels[labelled], return_inverse=True)
    folds = StratifiedKFold(max(2, min(5, np.bincount(own).min())), shuffle=True, random_state=seed)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    probabilities = cross_val_predict(classifier, vectors[labelled], own, cv=folds, method="predict_proba")
    of_label = probabilities[np.arange(len(own)), own]
    probabilities[np.arange(len(own)), own] = -1
    hardest = np.argsort(of_label - probabilities.max(1), kind="stable")[: round(share * len(labelled))]
    spoilt = labels.copy()
    spoilt[labelled[hardest]] = present[probabilities[hardest].argmax(1)]
    return spoilt
