"""The noise channel of the given labels: P(label l | true class y, image i).

Three ways in which labels go wrong, of which each has to earn its place (`fit_channel`, by BIC):

- any other class alike, with probability eps;
- a class that looks alike: with probability sigma the label is drawn by exp(tau s(y, l)), s the cosine of the class means;
- as seen by somebody who sees the image and knows the class roughly: l is drawn by softmax(gamma v_l + bonus [l = y]),
  v the log-probabilities of a witness of the image. Large bonus: right; small: ambiguous images get the runner-up.

`confusions` adds classes that are taken for certain others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize

from gpt4image.label.weigh.log_space import normalise_logs, sigmoid

CLEAN = 1e-3
"""Noise rate of labels that are taken to be right."""
MOST_ROWS = 4000
"""Labels that the rates are fitted to; a regular choice of more."""
USUAL = {"uniform": -3.0, "similar": -2.0, "closeness": np.log(6.0), "sight": 0.0, "bonus": np.log(3.0)}
"""Means beforehand of the log-odds of rates and the logs of the others."""
SPREAD = {"uniform": 3.0, "similar": 3.0, "closeness": 1.0, "sight": 1.0, "bonus": 1.0}


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
            result = np.empty((len(labels), self.num_classes))
            for fold, matrix in enumerate(self.matrices):
                result[folds == fold] = matrix.T[labels[folds == fold]]
            return result
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
    step = max(1, len(labels) // MOST_ROWS)
    few = slice(None, None, step)
    few_views = {name: view[few] for name, view in views.items()}
    made = {"uniform": lambda t: CLEAN + 0.95 * sigmoid(t), "similar": lambda t: 0.95 * sigmoid(t)}

    def build(point: np.ndarray) -> Channel:
        return replace(start, **{name: float(made.get(name, np.exp)(t)) for name, t in zip(names, point, strict=True)})

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
