"""How well the texts tell the classes apart: a linear reader of words, cross-validated."""

import re

import numpy as np

from gpt4image.describe.lint.finding import Finding, Texts
from gpt4image.describe.lint.leakage import class_pattern

FOLDS = 3
MOST_TEXTS = 10_000
FEWEST_EACH = 6
MUCH_BETTER = 2.0
"""Texts that are not so many times better than guessing cannot teach much about the classes."""


def check_separation(texts: Texts) -> Finding:
    """Predicts the class from TF-IDF of words, with and without the names of the classes in the text."""
    labelled = [(row, name) for row in texts.rows if (name := texts.class_of(row))]
    names, labels, counts = np.unique([name for _, name in labelled], return_inverse=True, return_counts=True)
    if len(names) < 2 or counts.min() < FEWEST_EACH:
        words = f"not measured: it takes two classes with at least {FEWEST_EACH} descriptions each"
        return Finding("separation", 0, 0, words, is_bad=False)
    chosen = np.random.default_rng(0).permutation(len(labelled))[:MOST_TEXTS]
    words_of = [labelled[i][0].text for i in chosen]
    groups = [labelled[i][0].digest for i in chosen]
    predicted = predict_classes(words_of, labels[chosen], groups)
    masked = predict_classes(_mask(words_of, list(names)), labels[chosen], groups)
    accuracy, hidden = np.mean(predicted == labels[chosen]), np.mean(masked == labels[chosen])
    chance = counts.max() / counts.sum()
    return Finding(
        check="separation",
        count=int((predicted != labels[chosen]).sum()),
        total=len(chosen),
        words=f"a linear reader finds the class in {100 * accuracy:.1f} % of the texts, "
        f"{100 * hidden:.1f} % with the classes' names hidden (guessing: {100 * chance:.1f} %)",
        is_bad=bool(accuracy < MUCH_BETTER * chance and accuracy < 0.9),
        remedy="a prompt that asks for what sets the classes apart: --prompt attributes"
        if accuracy < 2 * chance
        else "",
        examples=_confusions(list(names), labels[chosen], masked),
    )


def predict_classes(texts: list[str], labels: np.ndarray, groups: list[str]) -> np.ndarray:
    """Class of each text, from a reader that has not seen it or another text about its image; int64 [N]."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    reader = make_pipeline(TfidfVectorizer(min_df=2, sublinear_tf=True), RidgeClassifier())
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return cross_val_predict(reader, texts, labels, groups=groups, cv=folds)


def _mask(texts: list[str], names: list[str]) -> list[str]:
    pattern = re.compile("|".join(class_pattern(name).pattern for name in names), re.IGNORECASE)
    return [pattern.sub(" ", text) for text in texts]


def _confusions(names: list[str], labels: np.ndarray, predicted: np.ndarray) -> list[str]:
    """The pairs of classes most often mistaken, names hidden."""
    pairs = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(pairs, (labels, predicted), 1)
    np.fill_diagonal(pairs, 0)
    worst = np.argsort(pairs, axis=None)[::-1][:3]
    places = [np.unravel_index(place, pairs.shape) for place in worst]
    return [f"{pairs[i, j]} of {names[i]} read as {names[j]}" for i, j in places if pairs[i, j]]
