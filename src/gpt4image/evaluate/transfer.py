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
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Inverse regularisation of the linear probe; the best is chosen on a fifth of the training images."""


@dataclass(frozen=True)
class TransferSettings:
    """Measure how well a model's features serve for other images and other classes.

    Attributes:
        run: folder of a finished run.
        training: labelled images of another kind, on whose features k-NN and a linear probe are fitted.
        images: test images of the same classes.
        name: of this transfer if there are several; it becomes part of the file name.
        batch_size: images at a time.
        workers: processes that decode images; 0 decodes in the main process.
        device: auto, cpu, cuda, cuda:N or mps.
    """

    run: Path
    training: str
    images: str
    name: str = ""
    batch_size: int = 128
    workers: int = 2
    device: str = "auto"


@dataclass(frozen=True)
class TransferResult(StageResult):
    """Top-1 accuracy on the test images in percent, features frozen.

    Attributes:
        path: the record's file.
        knn: of the nearest neighbours among the training images.
        linear: of a logistic regression on the training images' features.
        num_training: training images.
        n: test images.
        unreadable: key of each image left out because it cannot be read, and why.
    """

    path: Path
    knn: float
    linear: float
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
        yield f"written: {self.path}"


def transfer(settings: TransferSettings) -> TransferResult:
    """Fits on the features of the training images, tests on those of the test images.

    Raises:
        ImageSetError: a set has no labelled images, or the test images have classes that the training images lack.
    """
    from gpt4image.evaluate.labelled import open_labelled
    from gpt4image.images import open_images
    from gpt4image.models.predict_run import predict_run

    path, classes = record_path(settings.run, "transfer", settings.name), open_images(settings.training).classes
    training, test = open_labelled(settings.training, classes), open_labelled(settings.images, classes)
    how = {"batch_size": settings.batch_size, "workers": settings.workers, "device": settings.device}
    known, asked = (predict_run(settings.run, one.images, label="features", **how).features for one in (training, test))
    labels, true = training.images.labels, test.images.labels
    result = TransferResult(
        path,
        knn=100 * float((predict_knn(known, labels, asked) == true).mean()),
        linear=100 * float((predict_linear(known, labels, asked) == true).mean()),
        num_training=len(known),
        n=len(asked),
        unreadable=training.unreadable | test.unreadable,
    )
    write_json(path, {**asdict(result), "training": settings.training, "images": settings.images})
    return result


def predict_knn(
    training: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"], test: Float[np.ndarray, "m f"]
) -> Int[np.ndarray, " m"]:
    """Votes of the nearest training images by cosine similarity s, each weighing exp(s / 0.07)."""
    from sklearn.neighbors import KNeighborsClassifier

    def weigh(distances: np.ndarray) -> np.ndarray:
        return np.exp((1 - distances) / TEMPERATURE)

    most = min(NEIGHBOURS, len(training))
    return KNeighborsClassifier(most, weights=weigh, metric="cosine").fit(training, labels).predict(test)


def predict_linear(
    training: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"], test: Float[np.ndarray, "m f"]
) -> Int[np.ndarray, " m"]:
    """Logistic regression on standardised features; its regularisation is chosen on a fifth of the training images."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def fit(x: np.ndarray, y: np.ndarray, strength: float) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(x, y)

    fitted, held_out, fitted_labels, held_out_labels = train_test_split(
        training, labels, test_size=0.2, random_state=0, stratify=labels if np.bincount(labels).min() > 1 else None
    )
    best = max(STRENGTHS, key=lambda one: fit(fitted, fitted_labels, one).score(held_out, held_out_labels))
    return fit(training, labels, best).predict(test)
