"""Synthetic images of which everything is known: classes, features, texts, picks."""

from dataclasses import dataclass

import numpy as np

from gpt4image.label.weigh import Evidence, Picks, Vectors


@dataclass
class World:
    """N images of C classes; texts and features are Gaussians around the classes' means, picks are right in 90 %."""

    y: np.ndarray
    texts: np.ndarray
    features: np.ndarray
    pick: np.ndarray
    names: np.ndarray

    def tell(self, given, picks=True, texts=True, images=True, names=True, pick=None, text_rows=None) -> Evidence:
        rows = np.arange(len(self.y))
        pick = self.pick if pick is None else pick
        nothing = np.full(len(rows), -1)
        described = Vectors(
            "blind", "text", self.texts, rows if text_rows is None else text_rows, self.names if names else None
        )
        return Evidence(
            len(self.names),
            np.asarray(given),
            (Picks("pick", pick, nothing, np.full(len(rows), np.nan, np.float32)),) if picks else (),
            (described,) if texts else (),
            Vectors("net", "image", self.features, rows) if images else None,
        )


def make_world(num_classes=5, size=600, seed=0, text_noise=1.0, image_noise=1.5, pick_right=0.9) -> World:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(size) % num_classes)
    centers = rng.standard_normal((num_classes, 16)) * 1.2
    views = rng.standard_normal((num_classes, 24)) * 1.2
    texts = centers[y] + text_noise * rng.standard_normal((size, 16))
    features = views[y] + image_noise * rng.standard_normal((size, 24))
    wrong = rng.random(size) > pick_right
    pick = np.where(wrong, (y + rng.integers(1, num_classes, size)) % num_classes, y)
    return World(y, texts.astype(np.float32), features.astype(np.float32), pick, centers.astype(np.float32))


def spoil(y, share, num_classes, seed=0, step=None):
    """Labels of which a share is another class; `step`: the class that many further on."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(y))[: round(share * len(y))]
    labels = y.copy()
    labels[chosen] = (y[chosen] + (rng.integers(1, num_classes, len(chosen)) if step is None else step)) % num_classes
    return labels


def keep(y, count, classes=None):
    labels = np.full(len(y), -1)
    for c in np.unique(y) if classes is None else classes:
        labels[np.flatnonzero(y == c)[:count]] = c
    return labels
