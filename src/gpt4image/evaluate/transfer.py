"""Transfer: how much a model's features know about another image set, by k-NN and by a linear probe."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gpt4image.evaluate.record import record_path
from gpt4image.files import write_json
from gpt4image.results import ExitStatus, StageResult

NEIGHBOURS, TEMPERATURE = 20, 0.07
"""As in Wu et al. 2018 (arXiv 1805.01978) and later work on frozen features, with fewer neighbours for small sets."""
SIMILARITIES = 1 << 23
"""Held at once; all of a large set would take more memory than there is."""
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Inverse regularisation of the linear probe."""
FOLDS = 5


@dataclass(frozen=True)
class TransferSettings:
    """Measure how well a model's features serve for other images and other classes.

    Attributes:
        run: folder of a finished run.
        training: labelled images of another kind, on whose features k-NN and a linear probe are fitted.
        images: test images of the same classes.
        name: of this transfer if there are several; it becomes part of the file name.
        batch_size: images at a time.
        workers: processes that decode images; 8 at most on a GPU and 2 on a CPU if not given.
        device: auto, cpu, cuda, cuda:N or mps.
    """

    run: Path
    training: str
    images: str
    name: str = ""
    batch_size: int = 128
    workers: int | None = None
    device: str = "auto"


@dataclass(frozen=True)
class TransferResult(StageResult):
    """Top-1 accuracy on the test images in percent, features frozen.

    Attributes:
        path: the record's file.
        knn: of the nearest neighbours among the training images.
        linear: of a logistic regression on the training images' features.
        choice: how its regularisation was chosen.
        num_training: training images.
        n: test images.
        unreadable: key of each image left out because it cannot be read, and why.
    """

    path: Path
    knn: float
    linear: float
    choice: str
    num_training: int
    n: int
    unreadable: dict[str, str]

    @property
    def exit_status(self) -> ExitStatus:
        return ExitStatus.PARTLY if self.unreadable else ExitStatus.DONE

    def lines(self) -> Iterator[Any]:
        yield from (f"left out: {key} ({reason})" for key, reason in self.unreadable.items())
        sizes = f"{self.num_training:,} training and {self.n:,} test images"
        yield f"transfer: {NEIGHBOURS}-NN {self.knn:.2f} %, linear probe {self.linear:.2f} %, {sizes}"
        yield f"linear probe: {self.choice}"
        yield f"written: {self.path}"


def transfer(settings: TransferSettings) -> TransferResult:
    """Fits on the features of the training images, tests on those of the test images.

    Raises:
        ImageSetError: a set has no labelled images, or the test images have classes that the training images lack.
    """
    from gpt4image.evaluate.labelled import open_labelled
    from gpt4image.images import open_images
    from gpt4image.models.machine import choose_device, count_workers
    from gpt4image.models.predict_run import predict_run

    path, classes = record_path(settings.run, "transfer", settings.name), open_images(settings.training).classes
    training, test = open_labelled(settings.training, classes), open_labelled(settings.images, classes)
    workers = count_workers(settings.workers, choose_device(settings.device), on_cpu=2)
    how = {"batch_size": settings.batch_size, "workers": workers, "device": settings.device}
    known, asked = (predict_run(settings.run, one.images, label="features", **how).features for one in (training, test))
    labels, true = training.images.labels, test.images.labels
    strength, choice = choose_strength(known, labels)
    result = TransferResult(
        path,
        knn=100 * float((predict_knn(known, labels, asked) == true).mean()),
        linear=100 * float((predict_linear(known, labels, asked, strength) == true).mean()),
        choice=choice,
        num_training=len(known),
        n=len(asked),
        unreadable=training.unreadable | test.unreadable,
    )
    write_json(path, {**asdict(result), "training": settings.training, "images": settings.images})
    return result


def predict_knn(
    training: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"], test: Float[np.ndarray, "m f"]
) -> Int[np.ndarray, " m"]:
    """Votes of the nearest training images by cosine similarity s, each weighing exp(s / 0.07); in blocks."""
    known, asked = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (training, test))
    most, block = min(NEIGHBOURS, len(known)), max(1, SIMILARITIES // len(known))
    votes = np.zeros((len(asked), labels.max() + 1))
    for start in range(0, len(asked), block):
        similarities = asked[start : start + block] @ known.T
        nearest = np.argpartition(-similarities, most - 1, axis=1)[:, :most]
        weights = np.exp(np.take_along_axis(similarities, nearest, 1) / TEMPERATURE)
        rows = np.arange(start, start + len(nearest))[:, None]
        np.add.at(votes, (rows, labels[nearest]), weights)
    return votes.argmax(1)


def choose_strength(training: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"]) -> tuple[float, str]:
    """The probe's inverse regularisation that is best on held-out training images, and in words how it was chosen.

    A fifth is held out where each class has five images; with fewer, each image once, in as many folds as the smallest
    class has images.
    """
    from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

    smallest = int(np.unique(labels, return_counts=True)[1].min())
    if smallest == 1:
        return 1.0, "regularisation 1: a class has only one training image, so none was chosen"
    if smallest >= FOLDS:
        splits = list(StratifiedShuffleSplit(1, test_size=1 / FOLDS, random_state=0).split(training, labels))
        choice = "regularisation chosen on a fifth of the training images"
    else:
        splits = list(StratifiedKFold(smallest, shuffle=True, random_state=0).split(training, labels))
        choice = f"regularisation chosen over {smallest} folds: the smallest class has {smallest} training images"

    def score(strength: float) -> float:
        parts = [(_fit(training[own], labels[own], strength), rest) for own, rest in splits]
        return float(np.mean([probe.score(training[rest], labels[rest]) for probe, rest in parts]))

    return max(STRENGTHS, key=score), choice


def predict_linear(
    training: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"], test: Float[np.ndarray, "m f"], strength: float
) -> Int[np.ndarray, " m"]:
    """Logistic regression on standardised features; `strength` is its inverse regularisation."""
    return _fit(training, labels, strength).predict(test)


def _fit(training: np.ndarray, labels: np.ndarray, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(training, labels)
