"""One hypothesis about the labels, followed to its end: experts, pool and noise channel fitted in turn.

The experts (regressions of texts and of image features, tables of picks) learn from what is believed of other images;
their weights and the labels' noise come from the labels that they did not see; what is believed then follows by Bayes.
Two hypotheses start from different beliefs and are compared by how likely they make the labels (`weigh`).
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gpt4image.label.weigh.calibration import LEAST_LABELS, Calibration, calibrate
from gpt4image.label.weigh.channel import Channel, fit_channel
from gpt4image.label.weigh.first_belief import NameReader, fit_name_reader, list_claims
from gpt4image.label.weigh.log_space import normalise_logs
from gpt4image.label.weigh.pick_table import PickTable, fit_pick_tables
from gpt4image.label.weigh.pool import combine, estimate_leak, fit_weights
from gpt4image.label.weigh.prepare import Problem
from gpt4image.label.weigh.regression import MOST_CELLS, PENALTIES, CrossFit, cross_fit

CHOOSING_ROUNDS = 3
"""Rounds after which penalties are chosen anew."""
SETTLED = 0.01
"""Share of images whose likeliest class may still change in the last round."""
MOST_ROUNDS = 4
"""With picks: their tables learn from what they have said themselves, and may slide from class to class."""
MOST_ROUNDS_WITHOUT_PICKS = 12
"""Where nothing knows the class from the start, four are too few."""
SHARPNESSES = (0.5, 0.7, 1.0, 1.4)
"""Of which the one is taken under which image features foretell picks best."""
AGREEMENT = 0.2
"""Of the log-likelihood of the picks, which is not all evidence: picks and image features may err alike.

Any from 0.15 to 0.4 chooses as well on three sets, with right, wrong and ambiguous labels and exchanged answers; at 1
features and picks that agree by chance outweigh right labels.
"""


@dataclass
class Hypothesis:
    """A belief and everything that was fitted on the way to it.

    Attributes:
        problem: as given.
        belief: [N, C], P(y | everything).
        channel: of the labels.
        kind: `clean`: labels are right; `careless`: wrong whatever the image looks like; `by sight`: wrong on ambiguous
            images.
        views: what images look like to who learnt from the labels, by name: log-probabilities [N, C].
        refuted: it is not to be chosen, as `compete` found out.
        rounds: that were made.
        label_score: log-likelihood of the labels less the price of what was fitted to them (BIC), in nats.
        agreement: log-likelihood of the picks by image features, in nats.
    """

    problem: Problem
    belief: np.ndarray
    likelihood: np.ndarray
    kind: Literal["clean", "careless", "by sight"]
    views: dict[str, np.ndarray] = field(default_factory=dict)
    refuted: bool = False
    rounds: int = 0
    label_score: float = 0.0
    channel: Channel = field(init=False)
    prior: np.ndarray = field(init=False)
    penalties: dict[str, float] = field(default_factory=dict)
    fits: dict[str, CrossFit] = field(default_factory=dict)
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    tables: dict[str, tuple[list[PickTable], PickTable]] = field(default_factory=dict)
    readers: dict[str, NameReader] = field(default_factory=dict)
    opinions: dict[str, np.ndarray] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    leak: float = 0.0
    log_likelihood: float = 0.0
    agreement: float = 0.0
    pooled: np.ndarray = field(init=False)

    @property
    def score(self) -> float:
        """How likely it makes the labels and, in part, the picks, in nats."""
        return self.label_score + AGREEMENT * self.agreement

    @property
    def labelled(self) -> np.ndarray:
        return np.flatnonzero(self.problem.labels >= 0)

    def measure_agreement(self) -> float:
        """Held-out log-likelihood, in nats, of what picks, or names nearest to texts, say by the features.

        It tells wrong labels from wrong picks: where picks are wrong at random, the image cannot foretell them.
        """
        problem = self.problem
        image = problem.image
        if image is None:
            return 0.0
        views = [np.exp(normalise_logs(t * self.opinions[image] + np.log(self.prior))) for t in SHARPNESSES]
        total = 0.0
        for picks in list_claims(problem):
            found = np.zeros(len(SHARPNESSES))
            for fold, table in enumerate(fit_pick_tables(picks, self.belief, problem.folds)[0]):
                chosen = np.flatnonzero((problem.folds == fold) & (picks.first >= 0) & problem.present[image])
                spoken = table.rows * table.named[:, None] / self.prior
                of_class = (spoken / spoken.sum(0))[picks.first[chosen]]
                found += [float(np.log((view[chosen] * of_class).sum(1) + 1e-12).sum()) for view in views]
            total += float(found.max())
        return total

    def follow(self, rounds: int) -> "Hypothesis":
        """Follows it for so many rounds, and says how likely labels and picks are by then."""
        while self.rounds < rounds:
            self._go_round()
        self.agreement = self.measure_agreement()
        fitted = self.channel.num_parameters + (self.leak > 0)
        price = 0.5 * fitted * np.log(max(2, len(self.labelled)))
        self.label_score = self.log_likelihood - price
        return self

    def settle(self) -> None:
        """Goes on until few images change their class; the score stays as it was judged."""
        is_settled, most = False, MOST_ROUNDS if self.problem.picks else MOST_ROUNDS_WITHOUT_PICKS
        while self.rounds < most and not is_settled:
            before = self.belief.argmax(1)
            self._go_round()
            is_settled = float((self.belief.argmax(1) != before).mean()) <= SETTLED

    def forget(self) -> None:
        """Drops the large arrays of a hypothesis that was not chosen; its score stays."""
        self.opinions.clear()
        self.views.clear()
        self.belief = self.likelihood = self.pooled = np.empty((0, self.problem.num_classes))

    def _go_round(self) -> None:
        if self.rounds == 0:
            self.channel = Channel(self.problem.num_classes)
        if self.rounds % CHOOSING_ROUNDS == 0:
            self.penalties.clear()
        self._hear()
        self._weigh()
        self.rounds += 1

    def _hear(self) -> None:
        """Every witness learns from the belief and gives its opinion on the images that it did not learn from."""
        problem, taught = self.problem, self.belief
        totals = taught.sum(0)
        self.prior = (totals + 1) / (totals.sum() + len(totals))
        for picks in problem.picks:
            name = f"pick:{picks.name}"
            self.tables[name] = fit_pick_tables(picks, taught, problem.folds)
            self.opinions[name] = np.zeros(taught.shape, np.float32)
            for fold, table in enumerate(self.tables[name][0]):
                chosen = np.flatnonzero((problem.folds == fold) & (picks.first >= 0))
                self.opinions[name][chosen] = np.log(table.read(picks, chosen) + 1e-9) - np.log(self.prior)
        for name in problem.points:
            self._learn(name)
        for name, vectors in problem.texts.items():
            reader = fit_name_reader(vectors[problem.present[name]], problem.class_vectors[name], self.prior)
            self.readers[f"names:{name}"] = reader
            logits = reader.read(vectors)
            calibration = self._calibrate(name, logits, self.prior)
            self._speak(f"names:{name}", logits, self.prior, calibration)

    def _learn(self, name: str) -> None:
        """Fits a regression to the belief; its penalty is chosen when it first learns."""
        problem, points = self.problem, self.problem.points[name]
        targets = np.where(problem.present[name][:, None], self.belief, 0)
        tries = (self.penalties[name],) if name in self.penalties else PENALTIES
        if targets.size > MOST_CELLS:  # No penalty to choose.
            tries = PENALTIES[:1]
        found = {}
        for penalty in tries:
            fit = cross_fit(points, targets, problem.folds, penalty, start=self.fits.get(name))
            logits = fit.read_held_out(points, problem.folds)
            found[penalty] = fit, logits, self._calibrate(name, logits, fit.prior)
        best = max(found, key=lambda penalty: found[penalty][2].log_likelihood)
        self.penalties[name], (self.fits[name], logits, calibration) = best, found[best]
        self._speak(name, logits, self.fits[name].prior, calibration)

    def _calibrate(self, name: str, logits: np.ndarray, prior: np.ndarray) -> Calibration:
        """By held-out labels, if there are some, else by the belief.

        Features are those of the image itself; and of a single witness nobody can tell whether it or the labels are
        wrong: then labels are, which happens more often. Labels given by sight say too little of the class.
        """
        problem = self.problem
        present = problem.present[name]
        leaks = problem.kinds[name] == "text" and len(problem.points) + len(problem.picks) > 1
        by_label = present[self.labelled]
        if by_label.sum() >= LEAST_LABELS and self.kind != "by sight":
            return calibrate(logits[self.labelled[by_label]], prior, self.likelihood[by_label], leaks)
        by_belief = present & (self.belief.sum(1) > 1e-6)
        likeliest = np.eye(len(prior), dtype=np.float32)[self.belief[by_belief].argmax(1)]
        return calibrate(logits[by_belief], prior, likeliest, leaks)

    def _speak(self, name: str, logits: np.ndarray, prior: np.ndarray, calibration: Calibration) -> None:
        self.calibrations[name] = calibration
        opinion = np.log(calibration.apply(logits, prior) + 1e-12) - np.log(prior)
        present = self.problem.present[name.removeprefix("names:")]
        self.opinions[name] = np.where(present[:, None], opinion, 0).astype(np.float32)

    def _weigh(self) -> None:
        """Weights of the witnesses and noise of the labels, in turn, from the usual weights on.

        Labels given by sight say too little of the class to weigh witnesses by: the usual weights stay.
        """
        labelled, labels, names = self.labelled, self.problem.labels[self.labelled], list(self.opinions)
        usual = np.array([self.problem.usual_weights[name] for name in names])
        opinions = list(self.opinions.values())
        on_labelled = [opinion[labelled] for opinion in opinions]
        weights = np.array([self.weights.get(name, w) for name, w in zip(names, usual, strict=True)])
        told = self.list_told()
        leaks = self.kind == "clean" and len(labelled) >= LEAST_LABELS and any(told) and not all(told)
        views = {name: view[labelled] for name, view in self.views.items()}
        free = ~self.problem.gold[labelled]
        for _ in range(2 if self.kind != "clean" else 1):
            if self.kind != "clean" and len(labelled):
                pooled = combine(on_labelled, weights, self.prior, told, self.leak)
                few_views = {name: view[free] for name, view in views.items()}
                self.channel = fit_channel(
                    np.exp(pooled[free]),
                    labels[free],
                    few_views,
                    self.problem.folds[labelled][free],
                    self.measure_similarity(),
                    self.kind == "by sight",
                )
            self.likelihood = self.compute_likelihood(labelled, views)
            if len(labelled):
                known = on_labelled, usual, self.prior, self.likelihood, told
                found = fit_weights(*known, fixed=self.kind == "by sight")
                if leaks:
                    price = 0.5 * np.log(len(labelled))
                    leaky = fit_weights(*known, leaks=True)
                    found = leaky if leaky[2] > found[2] + price else found
                weights, self.leak, self.log_likelihood = found
        self.weights = dict(zip(names, weights.tolist(), strict=True))
        if self.problem.image_weight is not None and len(labelled) < LEAST_LABELS:
            self.leak = self._find_leak()
        self.pooled = combine(opinions, weights, self.prior, told, self.leak)
        logits = self.pooled.copy()
        logits[labelled] += np.log(self.likelihood + 1e-12)
        self.belief = np.exp(normalise_logs(logits))

    def _find_leak(self) -> float:
        """How often describers spoke of another image, by those of which they spoke."""
        image = self.problem.image
        assert image is not None
        told = [name for name in self.opinions if name != image]
        spoken = np.any([np.ptp(self.opinions[name], axis=1) > 0 for name in told], axis=0)
        said = combine(
            [self.opinions[name][spoken] for name in told], [self.weights[name] for name in told], self.prior
        )
        return estimate_leak(said, self.weights[image] * self.opinions[image][spoken], self.prior)

    def list_told(self) -> list[bool]:
        """Which opinions are a describer's words, not the image's own features."""
        return [self.problem.kinds.get(name) != "image" for name in self.opinions]

    def find_views(self) -> dict[str, np.ndarray]:
        """What the images, or else the first texts, look like to who learnt from the labels: log-probabilities."""
        for name in sorted(self.fits, key=lambda name: self.problem.kinds[name] != "image")[:1]:
            return {name: self.opinions[name] + np.log(self.fits[name].prior)}
        return {}

    def compute_likelihood(self, rows: np.ndarray, views: dict[str, np.ndarray]) -> np.ndarray:
        """P(label | y) of labelled images of the problem."""
        labels = self.problem.labels[rows]
        likelihood = self.channel.compute_likelihood(labels, views, self.problem.folds[rows]).astype(self.belief.dtype)
        gold = self.problem.gold[rows]
        likelihood[gold] = np.where(np.arange(self.problem.num_classes) == labels[gold][:, None], 1.0, 1e-9)
        return likelihood

    def measure_similarity(self) -> np.ndarray | None:
        """Cosines of the class means, of images if there are features, else of texts."""
        names = sorted(self.problem.kinds, key=self.problem.kinds.get)  # type: ignore[arg-type]
        if not names:
            return None
        points = self.problem.points[names[0]][:, :-1]
        belief = np.where(self.problem.present[names[0]][:, None], self.belief, 0)
        means = belief.T @ points / (belief.sum(0)[:, None] + 1e-6)
        means = means - means.mean(0)
        means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-9
        return means @ means.T
