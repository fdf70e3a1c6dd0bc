"""How well the texts tell the classes apart: a linear reader of words, cross-validated; and labels it doubts."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from gpt4image.describe.lint.class_words import ClassWords
from gpt4image.describe.lint.finding import Finding, Texts, share
from gpt4image.describe.store.rows import Description

FOLDS = 3
MOST_TEXTS = 10_000
FEWEST_EACH = 6
MUCH_BETTER = 2.0
"""Texts that are not so many times better than guessing cannot teach much about the classes."""
NO_WORDS = ("empty vocabulary", "no terms remain")
"""What scikit-learn says of texts that have no word in common."""
MARGIN, MANY_DOUBTFUL = 0.5, 0.01
"""By how much another class's score must exceed the label's (a sure reader's are 1 and -1) to doubt the label."""


def check_reader(texts: Texts) -> Iterator[Finding]:
    """Predicts the class of texts by TF-IDF of their words: yields `separation` and `label disagreement`."""
    labelled = texts.labelled()
    names, labels, counts = np.unique([name for _, name in labelled], return_inverse=True, return_counts=True)
    # A reader is tested on images that it has read nothing about, so several of a class are needed.
    images = Counter(name for _, name in {(row.digest, name) for row, name in labelled})
    if len(names) < 2 or counts.min() < FEWEST_EACH or min(images.values()) < FOLDS:
        fewest = f"{FEWEST_EACH} descriptions each, of {FOLDS} images or more"
        words = f"not measured: it takes two classes with at least {fewest}"
        yield Finding("separation", 0, 0, words, is_bad=False)
        yield Finding("label disagreement", 0, 0, words, is_bad=False)
        return
    chosen = np.random.default_rng(0).permutation(len(labelled))[:MOST_TEXTS]
    rows = [labelled[i][0] for i in chosen]
    scores = score_classes([row.text for row in rows], labels[chosen], [row.digest for row in rows])
    yield _separation(rows, names, labels[chosen], scores)
    yield _disagreement(texts, rows, names, labels[chosen], scores)


def score_classes(texts: Sequence[str], labels: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """A score of each class for each text, from a reader that saw no text about its image; float64 [N, C]."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    reader = make_pipeline(TfidfVectorizer(min_df=2, sublinear_tf=True), RidgeClassifier())
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    try:
        scores = cross_val_predict(reader, texts, labels, groups=groups, cv=folds, method="decision_function")
    except ValueError as error:
        if not any(words in str(error) for words in NO_WORDS):
            raise
        # Guess the largest class, by so little that no label is doubted.
        return np.tile(1e-6 * np.bincount(labels), (len(labels), 1))
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def _separation(rows: Sequence[Description], names: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> Finding:
    hide = ClassWords(names.tolist()).hide
    masked = score_classes([hide(row.text) for row in rows], labels, [row.digest for row in rows]).argmax(axis=1)
    accuracy, hidden = np.mean(scores.argmax(axis=1) == labels), np.mean(masked == labels)
    chance = np.bincount(labels).max() / len(labels)
    mistaken = Counter(zip(names[labels].tolist(), names[masked].tolist(), strict=True))
    return Finding(
        check="separation",
        count=int((scores.argmax(axis=1) != labels).sum()),
        total=len(rows),
        words=f"a linear reader finds the class in {100 * accuracy:.1f} % of the texts, "
        f"{100 * hidden:.1f} % with the classes' names hidden (guessing: {100 * chance:.1f} %)",
        is_bad=bool(accuracy < MUCH_BETTER * chance and accuracy < 0.9),
        remedy="a prompt that asks for what sets the classes apart: --prompt attributes",
        examples=[f"{n} of {own} read as {read}" for (own, read), n in mistaken.most_common() if own != read][:3],
    )


def _disagreement(
    texts: Texts, rows: Sequence[Description], names: np.ndarray, labels: np.ndarray, scores: np.ndarray
) -> Finding:
    """Finds texts that read clearly as another class than their image's label says."""
    everyone = np.arange(len(rows))
    others = scores.copy()
    others[everyone, labels] = -np.inf
    read, margins = names[others.argmax(axis=1)], others.max(axis=1) - scores[everyone, labels]
    doubtful = np.argsort(-margins)[: int((margins > MARGIN).sum())]
    words = f"{share(len(doubtful), len(rows))} read clearly as another class than their image's label"
    remedy = "gpt4image gallery WORK shows whether label or text is wrong"
    examples = [texts.example(rows[i], f" reads as {read[i]}", 60) for i in doubtful[:5]]
    found, is_bad = [rows[i] for i in doubtful], len(doubtful) > MANY_DOUBTFUL * len(rows)
    return texts.find("label disagreement", found, words, is_bad, remedy, examples, len(rows))
