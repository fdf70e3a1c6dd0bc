"""The reader: a classifier of text embeddings, cross-fitted so that no image is read by a model that saw its label.

It is a multinomial logistic regression behind a noise channel. Of a labelled image with features x and given label l

    P(l | x) = sum_y P(l | y) P(y | x)

so that wrong labels do not bend the classifier (forward correction; Patrini et al., arXiv 1609.03683). The penalty and
the channel (`label_noise`) are those under which held-out labels are most likely; confusions between classes must earn
what they add to the description length (BIC). Embedded class names, where there are any, stand in as one more example a
class.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from earlier_reader.noise import find_confusions, make_channel
from earlier_reader.posterior import Calibration, calibrate
from earlier_reader.witness import Witness

NUM_FOLDS = 5
PENALTIES = (0.01, 0.1, 1.0, 3.0)
NOISE_RATES = (0.0, 0.1, 0.5)
MAX_ITERATIONS = 40
MAX_ROUNDS = 3
"""Fits of the regression with the confusions that the one before it found."""
BURDEN_OF_PROOF = 2.0
"""Log-odds with which the images must speak against the labels, in nats."""
MAX_FIT = 50_000
"""Labelled images that the reader is fitted on; a random choice of larger sets."""


@dataclass(frozen=True)
class Reading:
    """What the reader makes of the texts.

    Attributes:
        probabilities: float64 [N, C], calibrated; of labelled images by the fold that did not see their label.
        calibration: temperature and label noise found on the way.
        penalty: of the weights, chosen by cross-validation.
    """

    probabilities: np.ndarray
    calibration: Calibration
    penalty: float


def read_texts(
    features: Float[np.ndarray, "N D"],
    labels: Int[np.ndarray, " N"],
    num_classes: int,
    class_features: Float[np.ndarray, "C D"] | None,
    seed: int,
    witness: Witness | None = None,
) -> Reading:
    """Fits, cross-fits and calibrates a reader.

    Args:
        features: text features of the described images, centred, of mean squared norm 1.
        labels: given labels, -1 where there is none; at least one is given.
        num_classes: C.
        class_features: the class names, embedded and scaled like `features`, or None.
        seed: of the folds.
        witness: says of two classes that are confused whether texts or labels are wrong; labels if there is none.
    """
    folds = _assign_folds(labels, seed)
    names = None if class_features is None else torch.from_numpy(class_features).float()
    problem = _Problem(torch.from_numpy(features).float(), labels, folds, num_classes, names)
    labelled = np.flatnonzero(labels >= 0)
    best = latest = _search(problem, labels, np.zeros((num_classes, num_classes)))
    for _ in range(MAX_ROUNDS):
        confusions = find_confusions(latest.probabilities[labelled], labels[labelled])
        if witness is not None:
            confusions = _confirm(confusions, latest.probabilities.argmax(1), labels, witness)
        if np.array_equal(confusions, latest.calibration.confusions):
            break
        latest = _search(problem, labels, confusions, penalty=latest.penalty)
        if _score(latest, len(labelled)) > _score(best, len(labelled)):
            best = latest
    return best


def _confirm(confusions: np.ndarray, read_as: np.ndarray, labels: np.ndarray, witness: Witness) -> np.ndarray:
    """Only those confusions of labels of which the images show that they are none of the texts."""
    confirmed = np.zeros_like(confusions)
    for y, label in np.argwhere(confusions > 0):
        agree = [np.flatnonzero((read_as == own) & (labels == own)) for own in (y, label)]
        contested = np.flatnonzero((read_as == y) & (labels == label))
        if witness.weigh(agree[0], agree[1], contested) > BURDEN_OF_PROOF:
            confirmed[y, label] = confusions[y, label]
    return confirmed


def _score(reading: Reading, num_labelled: int) -> float:
    """Bayesian information criterion, in nats and positive if good: each confusion is one more number."""
    return reading.calibration.log_likelihood - 0.5 * reading.calibration.num_confusions * np.log(num_labelled)


def _search(problem: "_Problem", labels: np.ndarray, confusions: np.ndarray, penalty: float = PENALTIES[1]) -> Reading:
    """The penalty and noise under which held-out labels are most likely, given the confusions."""
    seen: dict[tuple[float, float], tuple[np.ndarray, Calibration]] = {}

    def likelihood(penalty: float, noise: float) -> float:
        if (penalty, noise) not in seen:
            probabilities = problem.cross_fit(penalty, make_channel(noise, confusions))
            seen[penalty, noise] = probabilities, calibrate(probabilities, labels, confusions)
        return seen[penalty, noise][1].log_likelihood

    # Coordinate search, twice around: each point costs a fit of all folds.
    noise = NOISE_RATES[1]
    for _ in range(2):
        penalty = max(PENALTIES, key=lambda value: likelihood(value, noise))
        noise = max(NOISE_RATES, key=lambda value: likelihood(penalty, value))
    probabilities, calibration = seen[penalty, noise]
    return Reading(calibration.apply(probabilities), calibration, penalty)


def scale_features(
    embeddings: Float[np.ndarray, "N D"], class_embeddings: Float[np.ndarray, "C D"] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Centres embeddings and scales them to a mean squared norm of 1; class names by themselves, likewise."""
    return _standardise(embeddings), None if class_embeddings is None else _standardise(class_embeddings)


def _standardise(embeddings: np.ndarray) -> np.ndarray:
    centred = embeddings.astype(np.float64) - embeddings.mean(0, dtype=np.float64)
    return (centred / np.sqrt((centred**2).sum(1).mean() + 1e-12)).astype(np.float32)


def _assign_folds(labels: np.ndarray, seed: int) -> np.ndarray:
    """Fold of each image, -1 for those that are not fitted on; every class is spread evenly over the folds."""
    rng = np.random.default_rng([seed, 10])
    labelled = rng.permutation(np.flatnonzero(labels >= 0))[:MAX_FIT]
    labelled = labelled[np.argsort(labels[labelled], kind="stable")]
    folds = np.full(len(labels), -1)
    folds[labelled] = np.arange(len(labelled)) % NUM_FOLDS
    return folds


class _Problem:
    """The regressions of all folds, solved side by side: one product X W with W [D, folds x C]."""

    def __init__(
        self, x: Tensor, labels: np.ndarray, folds: np.ndarray, num_classes: int, names: Tensor | None
    ) -> None:
        self.x, self.folds, self.num_classes, self.names = x, folds, num_classes, names
        fitted = np.flatnonzero(folds >= 0)
        self.x_fit, self.y = x[fitted], torch.from_numpy(labels[fitted])
        # in_training[i, k]: labelled image i takes part in fitting the model of fold k.
        self.in_training = torch.from_numpy(folds[fitted][:, None] != np.arange(NUM_FOLDS)).float()

    def cross_fit(self, penalty: float, channel: np.ndarray) -> np.ndarray:
        """Probabilities [N, C]: held-out for labelled images, the folds' mean for the others."""
        weights, bias = self._fit(penalty, torch.from_numpy(channel).float())
        with torch.no_grad():
            logits = (self.x @ weights + bias).view(len(self.x), NUM_FOLDS, self.num_classes)
            probabilities = logits.softmax(2).double().numpy()
        result = probabilities.mean(1)
        fitted = np.flatnonzero(self.folds >= 0)
        result[fitted] = probabilities[fitted, self.folds[fitted]]
        return result

    def _fit(self, penalty: float, channel: Tensor) -> tuple[Tensor, Tensor]:
        width = NUM_FOLDS * self.num_classes
        weights = torch.zeros(self.x.shape[1], width, requires_grad=True)
        bias = torch.zeros(width, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weights, bias],
            max_iter=MAX_ITERATIONS,
            history_size=20,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-4,
            tolerance_change=1e-7,
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = self._negative_log_likelihood(weights, bias, channel)
            loss = loss + penalty / 2 * weights.pow(2).sum() + 1e-3 * bias.pow(2).sum()
            loss.backward()
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]
        return weights.detach(), bias.detach()

    def _negative_log_likelihood(self, weights: Tensor, bias: Tensor, channel: Tensor) -> Tensor:
        shape = (-1, NUM_FOLDS, self.num_classes)
        log_probabilities = F.log_softmax((self.x_fit @ weights + bias).view(shape), dim=2)
        if torch.equal(channel, torch.eye(self.num_classes)):
            log_right = log_probabilities.gather(2, self.y[:, None, None].expand(-1, NUM_FOLDS, 1))[:, :, 0]
        else:
            log_right = torch.log((log_probabilities.exp() * channel.T[self.y][:, None]).sum(2) + 1e-9)
        loss = -(log_right * self.in_training).sum()
        if self.names is not None:
            names = F.log_softmax((self.names @ weights + bias).view(shape), dim=2)
            loss = loss - names.diagonal(dim1=0, dim2=2).sum()
        return loss
