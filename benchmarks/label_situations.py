"""Situations for `labels.py`: labels hidden or spoilt on purpose, and witnesses that are wrong on purpose.

Names: `none`, `3` (labels a class), `half10` (10 a class in half of the classes), `mix10` (30 % wrong), `clean`;
`u20`, `n20`, `s20`, `t20`, `a20`: that share of labels wrong, as any other class, the next one, the most similar one,
one of the two most similar ones, or the runner-up on ambiguous images; `clean+texts30`, `clean+picks30`,
`clean+both30`: witnesses of other images; `clean+alike`: 30 % of a class described and picked as its most similar one.
"""

from dataclasses import dataclass, replace

import numpy as np

from gpt4image.label.weigh import Evidence, Picks, Vectors
from gpt4image.label.weigh.evidence import NONE_OF_THESE


@dataclass(frozen=True)
class World:
    """Images of which the true class is known: y int64 [N], names of the classes, and evidence without labels."""

    y: np.ndarray
    classes: tuple[str, ...]
    evidence: Evidence


def take(world: World, rows: np.ndarray, classes: np.ndarray) -> World:
    """Some images, and only some classes, which are renumbered; -1 for all others."""
    new = np.full(len(world.classes) + 1, -1)
    new[classes] = np.arange(len(classes))
    one = world.evidence

    def cut(block: Vectors) -> Vectors:
        names = None if block.class_vectors is None else block.class_vectors[classes]
        return replace(block, rows=block.rows[rows], class_vectors=names)

    def name(picks: Picks) -> Picks:
        """What the describer says if it is not told of the other classes."""
        first, second = picks.first[rows], picks.second[rows]
        named = np.where(first >= 0, np.where(new[first] >= 0, new[first], NONE_OF_THESE), first)
        return Picks(picks.name, named, new[np.maximum(second, -1)], picks.confidence[rows])

    picks = tuple(map(name, one.picks))
    images = None if one.images is None else cut(one.images)
    texts = tuple(map(cut, one.texts))
    cut_evidence = Evidence(len(classes), np.full(len(rows), -1), picks, texts, images)
    return World(new[world.y[rows]], tuple(world.classes[c] for c in classes), cut_evidence)


def make_situation(world: World, name: str, seed: int) -> Evidence:
    """The evidence with labels as the situation has them."""
    base, _, extra = name.partition("+")
    rng = np.random.default_rng([seed, 79])
    y, num_classes = world.y, len(world.classes)
    if base == "none":
        given = np.full(len(y), -1)
    elif base == "clean":
        given = y.copy()
    elif base.isdigit():
        given = keep(y, int(base), seed)
    elif base.startswith("half"):
        given = keep(y, int(base[4:]), seed, rng.permutation(num_classes)[: num_classes // 2])
    elif base.startswith("mix"):
        given = np.where(keep(y, int(base[3:]), seed) >= 0, spoil(world, "u", 0.3, seed), -1)
    else:
        given = spoil(world, base[0], int(base[1:]) / 100, seed)
    evidence = replace(world.evidence, given=given)
    if extra == "alike":
        return confuse_describer(world, evidence, rng)
    if extra:
        return exchange(evidence, extra[:-2], int(extra[-2:]) / 100, rng)
    return evidence


def keep(y: np.ndarray, count: int, seed: int, classes: np.ndarray | None = None) -> np.ndarray:
    """Labels of `count` images a class."""
    rng = np.random.default_rng([seed, 78])
    labels = np.full(len(y), -1)
    for c in np.unique(y[y >= 0]) if classes is None else classes:
        labels[rng.permutation(np.flatnonzero(y == c))[:count]] = c
    return labels


def spoil(world: World, kind: str, share: float, seed: int) -> np.ndarray:
    """Labels of which a share is wrong."""
    y, num_classes = world.y, len(world.classes)
    rng = np.random.default_rng([seed, 77])
    labels = y.copy()
    if kind == "a":
        seen = see_images(world)
        own = seen[np.arange(len(y)), y].copy()
        seen[np.arange(len(y)), y] = -1
        order = np.argsort(own - seen.max(1) + 0.05 * rng.standard_normal(len(y)))
        chosen = order[: round(share * len(y))]
        labels[chosen] = seen[chosen].argmax(1)
        return labels
    chosen = rng.permutation(len(y))[: round(share * len(y))]
    if kind == "u":
        labels[chosen] = (y[chosen] + rng.integers(1, num_classes, len(chosen))) % num_classes
    elif kind == "n":
        labels[chosen] = (y[chosen] + 1) % num_classes
    else:
        near = np.argsort(-measure_similarity(world), axis=1)
        most = 1 if kind == "s" or num_classes == 2 else 2
        labels[chosen] = near[y[chosen], rng.integers(0, most, len(chosen))]
    return labels


def see_images(world: World) -> np.ndarray:
    """Held-out probabilities [N, C] of a regression on image features and true labels."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=7)
    points = find_points(world.evidence.images, 200)
    return cross_val_predict(LogisticRegression(C=10, max_iter=300), points, world.y, cv=folds, method="predict_proba")


def measure_similarity(world: World) -> np.ndarray:
    """Cosines of the classes' mean image features; -9 on the diagonal."""
    block = world.evidence.images
    vectors = block.vectors[block.rows].astype(np.float64)
    vectors -= vectors.mean(0)
    means = np.stack([vectors[world.y == c].mean(0) for c in range(len(world.classes))])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    similarity = means @ means.T
    np.fill_diagonal(similarity, -9)
    return similarity


def find_points(block: Vectors, most: int = 256) -> np.ndarray:
    """Principal components of mean squared norm 1; zeros where there is no vector."""
    points = np.where(block.rows[:, None] >= 0, block.vectors[np.maximum(block.rows, 0)], 0).astype(np.float32)
    points -= points.mean(0)
    points /= np.sqrt((points**2).sum(1).mean() + 1e-12)
    if points.shape[1] > most:
        left, sizes, _ = np.linalg.svd(points, full_matrices=False)
        points = (left * sizes)[:, :most]
    return points


def exchange(evidence: Evidence, what: str, share: float, rng: np.random.Generator) -> Evidence:
    """Gives a share of the images the texts or picks of each other."""
    source = np.arange(len(evidence.given))
    chosen = np.flatnonzero(rng.random(len(source)) < share)
    source[chosen] = rng.permutation(chosen)
    return _resource(evidence, source, texts=what != "picks", picks=what != "texts")


def confuse_describer(world: World, evidence: Evidence, rng: np.random.Generator) -> Evidence:
    """Gives 30 % of a class texts and picks of its most similar class."""
    similarity = measure_similarity(world)
    one, other = np.unravel_index(similarity.argmax(), similarity.shape)
    members = rng.permutation(np.flatnonzero(world.y == one))
    members = members[: round(0.3 * len(members))]
    first = evidence.picks[0].first if evidence.picks else world.y
    source = np.arange(len(world.y))
    source[members] = rng.choice(np.flatnonzero((world.y == other) & ((first == other) | (first < 0))), len(members))
    return _resource(evidence, source)


def _resource(evidence: Evidence, source: np.ndarray, texts: bool = True, picks: bool = True) -> Evidence:
    if texts:
        evidence = replace(evidence, texts=tuple(replace(one, rows=one.rows[source]) for one in evidence.texts))
    if picks:
        moved = (Picks(p.name, p.first[source], p.second[source], p.confidence[source]) for p in evidence.picks)
        evidence = replace(evidence, picks=tuple(moved))
    return evidence
