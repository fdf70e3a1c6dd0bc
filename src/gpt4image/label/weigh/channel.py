"""The noise channel of the given labels: P(label l | true class y, image i).

Three ways in which labels go wrong, of which each has to earn its place (`fit_channel`, by BIC):

- any other class alike, with probability eps;
- a class that looks alike: with probability sigma the label is drawn by exp(tau s(y, l)), s the cosine of the means;
- as seen by somebody who sees the image and knows the class roughly: l is drawn by softmax(gamma v_l + bonus [l = y]),
  v the log-probabilities of a model of the images that learnt from these labels. Large bonus: labels are right; small:
  ambiguous images get the runner-up.


Beside these, classes that are taken for certain others: a matrix P(l | y), counted on other images by
expectation-maximisation (Dawid and Skene, 1979), in two forms around the rates above: a full matrix, each row a
Dirichlet posterior; and a sparse one, where only those cells stand apart that are worth it (BIC), which is sharper
where it fits. Each image's label is judged by a matrix that was counted on other folds, so its likelihood needs no
penalty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from gpt4image.label.weigh.log_space import normalise_logs, sigmoid
from gpt4image.label.weigh.regression import NUM_FOLDS

CLEAN = 1e-3
"""Noise rate of labels that are taken to be right."""
MOST_CELLS = 1_000_000
"""Labels times classes that the rates are fitted to; a regular choice of more."""
USUAL = {"uniform": -3.0, "similar": -2.0, "closeness": np.log(6.0), "sight": 0.0, "bonus": np.log(3.0)}
"""Means beforehand of the log-odds of rates and the logs of the others."""
SPREAD = {"uniform": 3.0, "similar": 3.0, "closeness": 1.0, "sight": 1.0, "bonus": 1.0}

STRENGTHS = (3.0, 10.0, 30.0, 100.0, 1000.0)
NUM_ROUNDS = 10
LEAST_COUNT = 3


@dataclass(frozen=True)
class Channel:
    """Attributes:
    num_classes: C.
    uniform: eps.
    similar: sigma.
    closeness: tau.
    similarity: s, [C, C]; None if nothing is known.
    view: name of the witness whose view v is, or empty.
    sight: gamma.
    bonus: in nats.
    matrices: of each fold [C, C] as [y, l], instead of all the above, or None.
    """

    num_classes: int
    uniform: float = CLEAN
    similar: float = 0.0
    closeness: float = 6.0
    similarity: np.ndarray | None = None
    view: str = ""
    sight: float = 1.0
    bonus: float = 30.0
    matrices: tuple[np.ndarray, ...] | None = None
    whole_matrix: np.ndarray | None = None

    @property
    def num_parameters(self) -> int:
        """Numbers that were fitted to the very labels that they explain."""
        if self.matrices is not None:
            return 1
        return int(self.uniform > 1.5 * CLEAN) + 2 * (self.similar > 0) + 2 * bool(self.view)

    @property
    def is_systematic(self) -> bool:
        """Whether some wrong classes are likelier than others."""
        return self.matrices is not None or self.similar > 0

    def compute_matrix(self) -> Float[np.ndarray, "C C"]:
        """P(l | y) without what is seen in the image."""
        if self.whole_matrix is not None:
            return self.whole_matrix
        matrix = np.eye(self.num_classes)
        if self.similar > 0:
            matrix = (1 - self.similar) * matrix + self.similar * self._draw_similar()
        return (1 - self.uniform) * matrix + self.uniform / self.num_classes

    def compute_likelihood(
        self, labels: Int[np.ndarray, " n"], views: Mapping[str, np.ndarray], folds: Int[np.ndarray, " n"] | None = None
    ) -> Float[np.ndarray, "n C"]:
        """P(label | y) of each image and class y.

        Args:
            labels: given labels.
            views: log-probabilities [n, C] of witnesses, by name.
            folds: of the images; None for images of which the labels were not counted.
        """
        if self.matrices is not None:
            if folds is None:
                return self.compute_matrix().T[labels]
            return np.stack([matrix.T for matrix in self.matrices])[folds, labels]
        if not self.view:
            return self.compute_matrix().T[labels]
        return (1 - self.uniform) * self._see(labels, views[self.view]) + self.uniform / self.num_classes

    def _draw_similar(self) -> np.ndarray:
        assert self.similarity is not None
        logits = self.closeness * self.similarity
        np.fill_diagonal(logits, -1e9)
        return np.exp(normalise_logs(logits))

    def _see(self, labels: np.ndarray, view: np.ndarray) -> np.ndarray:
        every = np.arange(len(labels))
        logits = self.sight * view
        odds = np.exp(logits - logits.max(1, keepdims=True)).astype(np.float64)
        raised = odds * np.exp(min(self.bonus, 30.0))
        total = odds.sum(1, keepdims=True) - odds + raised
        likelihood = odds[every, labels][:, None] / total
        likelihood[every, labels] = raised[every, labels] / total[every, labels]
        return likelihood


def fit_rates(
    probabilities: Float[np.ndarray, "n C"],
    labels: Int[np.ndarray, " n"],
    views: Mapping[str, np.ndarray],
    start: Channel,
    names: tuple[str, ...],
) -> tuple[Channel, float]:
    """The named rates under which the labels are likeliest, and the log-likelihood of all labels."""
    step = -(-probabilities.size // MOST_CELLS) or 1
    few = slice(None, None, step)
    few_views = {name: view[few] for name, view in views.items()}

    def build(point: np.ndarray) -> Channel:
        rates: dict[str, Any] = {name: float(np.exp(t)) for name, t in zip(names, point, strict=True)}
        for name, least in (("uniform", CLEAN), ("similar", 0.0)):
            if name in rates:
                rates[name] = least + 0.95 * sigmoid(np.log(rates[name]))
        return replace(start, **rates)

    def loss(point: np.ndarray) -> float:
        value = compute_log_likelihood(build(point), probabilities[few], labels[few], few_views)
        surprise = sum(0.5 * ((t - USUAL[name]) / SPREAD[name]) ** 2 for name, t in zip(names, point, strict=True))
        return -step * value + float(surprise)

    origin = np.array([USUAL[name] for name in names])
    simplex = np.vstack([origin, origin + 1.2 * np.eye(len(names))])
    options = {"maxiter": 50 * len(names), "xatol": 0.03, "fatol": 0.1, "initial_simplex": simplex}
    found = build(minimize(loss, origin, method="Nelder-Mead", options=options).x)
    return found, compute_log_likelihood(found, probabilities, labels, views)


def compute_log_likelihood(
    channel: Channel,
    probabilities: np.ndarray,
    labels: np.ndarray,
    views: Mapping[str, np.ndarray],
    folds: np.ndarray | None = None,
) -> float:
    """Of the labels, in nats, where images have class y with the given probabilities."""
    right = (probabilities * channel.compute_likelihood(labels, views, folds)).sum(1)
    return float(np.log(right + 1e-12).sum())


def fit_confusions(
    probabilities: Float[np.ndarray, "n C"], labels: Int[np.ndarray, " n"], folds: Int[np.ndarray, " n"], base: Channel
) -> list[tuple[float, Channel]]:
    """The best full matrix and the sparse one by expectation-maximisation, each with its held-out log-likelihood."""
    start = base.compute_matrix()
    strengths = STRENGTHS if probabilities.size <= MOST_CELLS else STRENGTHS[2:3]
    full = [_climb(probabilities, labels, folds, base, partial(_shrink, start, s)) for s in strengths]
    sparse = _climb(probabilities, labels, folds, base, partial(_stand_apart, start, len(labels)))
    return [max(full, key=lambda found: found[0]), sparse]


def _climb(
    probabilities: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    base: Channel,
    estimate: Callable[[np.ndarray], np.ndarray],
) -> tuple[float, Channel]:
    whole = base.compute_matrix()
    channel = replace(base, view="", matrices=(whole,) * NUM_FOLDS, whole_matrix=whole)
    # [F C, n]; its product with rows [n, C] adds up those of each fold's images of each label.
    cells = folds * base.num_classes + labels
    named = csr_matrix(
        (np.ones(len(labels)), (cells, np.arange(len(labels)))), (NUM_FOLDS * base.num_classes, len(labels))
    )
    for _ in range(NUM_ROUNDS if probabilities.size <= MOST_CELLS else NUM_ROUNDS // 3):
        joint = probabilities * channel.compute_likelihood(labels, {}, folds)
        joint /= joint.sum(1, keepdims=True) + 1e-12
        parts = (named @ joint).reshape(NUM_FOLDS, base.num_classes, base.num_classes).transpose(0, 2, 1)
        total = parts.sum(0)
        matrices = tuple(estimate(total - part) for part in parts)
        channel = replace(channel, matrices=matrices, whole_matrix=estimate(total))
    return compute_log_likelihood(channel, probabilities, labels, {}, folds), channel


def _shrink(start: np.ndarray, strength: float, counts: np.ndarray) -> np.ndarray:
    return (counts + strength * start) / (counts.sum(1, keepdims=True) + strength)


def _stand_apart(start: np.ndarray, num_labels: int, counts: np.ndarray) -> np.ndarray:
    """Cells that are worth it at their own rate; what is left of a row is split as all rows together are."""
    num_classes = len(counts)
    off = ~np.eye(num_classes, dtype=bool)
    shape = np.where(off, start, 0)
    shape = shape / shape.sum(1, keepdims=True)
    members = counts.sum(1, keepdims=True) + 1e-9
    share = counts / members
    apart = np.zeros_like(off)
    for _ in range(4):
        free = off & ~apart
        rate = (counts * free).sum() / max(float((members[:, 0] - (counts * apart).sum(1)).sum()), 1e-9)
        usual = np.clip(rate * shape, 1e-6, 0.999)
        gain = counts * np.log((share + 1e-12) / usual) + (members - counts) * np.log((1 - share + 1e-12) / (1 - usual))
        worth = off & (share > 1.5 * usual) & (counts >= LEAST_COUNT)
        worth &= gain > 0.5 * np.log(num_labels) + np.log(num_classes)
        if (worth == apart).all():
            break
        apart = worth
    own = np.where(apart, share, 0)
    left = 1 - own.sum(1, keepdims=True)
    rate = min(max(float(rate), 1e-4), 0.95)
    open_shape = np.where(apart, 0, shape)
    return own + left * (rate * open_shape + np.diag(1 - rate * open_shape.sum(1)))


def fit_channel(
    probabilities: Float[np.ndarray, "n C"],
    labels: Int[np.ndarray, " n"],
    views: dict[str, np.ndarray],
    folds: Int[np.ndarray, " n"],
    similarity: np.ndarray | None,
    by_sight: bool = False,
) -> Channel:
    """The kind of noise that earns its place: by sight, or else uniform, to similar classes, or with confusions."""
    num_labels, num_classes = probabilities.shape
    price = 0.5 * np.log(num_labels)
    start = Channel(num_classes, similarity=similarity)
    if by_sight:
        seen = [
            fit_rates(probabilities, labels, views, replace(start, view=view), ("uniform", "sight", "bonus"))
            for view in views
        ]
        return max(seen, key=lambda one: one[1])[0]
    found = [fit_rates(probabilities, labels, views, start, ("uniform",))]
    if similarity is not None and num_classes > 2:
        some = replace(found[0][0], similar=0.1)
        found.append(fit_rates(probabilities, labels, views, some, ("uniform", "similar", "closeness")))
    base = max(found, key=lambda one: one[1] - price * one[0].num_parameters)[0]
    (full, full_channel), (sparse, sparse_channel) = fit_confusions(probabilities, labels, folds, base)
    found.append((full_channel, full - price * (num_classes - base.num_parameters)))
    found.append((sparse_channel, sparse - price))
    return max(found, key=lambda one: one[1] - price * one[0].num_parameters)[0]
