"""Transfer: how much a model's features know about another image set, by k-NN and by a linear probe."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gpt4image.errors import ImageSetError, check_least
from gpt4image.evaluate.record import record_path
from gpt4image.files import write_json
from gpt4image.images.image_set import UNLABELLED, ImageSet
from gpt4image.images.tables.columns import show_names
from gpt4image.images.tables.labels import number_labels
from gpt4image.results import ExitStatus, StageResult, make_table

NEIGHBOURS, TEMPERATURE = 20, 0.07
"""As in Wu et al. 2018 (arXiv 1805.01978) and later work on frozen features, with fewer neighbours for small sets."""
SIMILARITIES = 1 << 23
"""Held at once; all of a large set would take more memory than there is."""
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Inverse regularisation of the linear probe."""
FOLDS = 5


LABEL = "label"


@dataclass(frozen=True)
class TransferSettings:
    """Measure how well a model's features serve for other images and other classes.

    Attributes:
        run: folder of a finished run.
        training: labelled images of another kind, on whose features k-NN and a linear probe are fitted.
        images: test images of the same classes.
        columns: columns of the two image lists that are predicted in the label's place, such as colour and gender.
        name: of this transfer if there are several; it becomes part of the file name.
        batch_size: images at a time; as many as suit the device, and on a CPU their size, if not given.
        workers: processes that decode images; 8 at most on a GPU and 2 on a CPU if not given.
        device: auto, cpu, cuda, cuda:N or mps.
    """

    run: Path
    training: str
    images: str
    columns: tuple[str, ...] = ()
    name: str = ""
    batch_size: int | None = None
    workers: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        check_least(self, batch_size=1, workers=0)


@dataclass(frozen=True)
class Probes:
    """Top-1 accuracy on the test images in percent, features frozen.

    Attributes:
        knn: of the nearest neighbours among the training images.
        linear: of a logistic regression on the training images' features.
        choice: how its regularisation was chosen.
        num_training: training images with a value.
        n: test images with a value that training images have, too.
        missing: training and test images without a value.
        unknown: test images with a value that no training image has; they are left out.
    """

    knn: float
    linear: float
    choice: str
    num_training: int
    n: int
    missing: int
    unknown: int


@dataclass(frozen=True)
class TransferResult(StageResult):
    """What features know.

    Attributes:
        path: the record's file.
        probes: by column; of the classes under `label`.
        unreadable: key of each image left out because it cannot be read, and why.
    """

    path: Path
    probes: dict[str, Probes]
    unreadable: dict[str, str]

    @property
    def exit_status(self) -> ExitStatus:
        return ExitStatus.PARTLY if self.unreadable else ExitStatus.DONE

    def lines(self) -> Iterator[Any]:
        yield from (f"left out: {key} ({reason})" for key, reason in self.unreadable.items())
        header = ("column", f"{NEIGHBOURS}-NN %", "linear %", "training", "test", "without value", "unknown value")
        rows = [
            [name, f"{one.knn:.2f}", f"{one.linear:.2f}"]
            + [f"{count:,}" for count in (one.num_training, one.n, one.missing, one.unknown)]
            for name, one in self.probes.items()
        ]
        yield make_table(header, rows)
        yield from (f"linear probe of {name}: {one.choice}" for name, one in self.probes.items())
        yield f"written: {self.path}"


def transfer(settings: TransferSettings) -> TransferResult:
    """Fits on the features of the training images, tests on those of the test images.

    Raises:
        ImageSetError: a set has no labelled images, the training images are of one class, the test images have classes
            that the training images lack, or a column is missing or tells no images apart.
    """
    from gpt4image.evaluate.labelled import open_labelled, open_readable
    from gpt4image.images import open_images
    from gpt4image.models.machine import choose_device, count_workers
    from gpt4image.models.predict_run import predict_run

    path = record_path(settings.run, "transfer", settings.name)
    if settings.columns:
        training, test = open_readable(settings.training), open_readable(settings.images)
        values = {name: _number_column(name, training.images, test.images) for name in settings.columns}
    else:
        classes = open_images(settings.training).classes
        training, test = open_labelled(settings.training, classes), open_labelled(settings.images, classes)
        if len(np.unique(training.images.labels)) < 2:
            raise ImageSetError(
                f"{settings.training} has readable labelled images of one class only, which tells nothing apart; "
                "give images of at least 2 classes"
            )
        values = {LABEL: (training.images.labels, test.images.labels, training.unlabelled + test.unlabelled, 0)}
    workers = count_workers(settings.workers, choose_device(settings.device), on_cpu=2)
    how: dict[str, Any] = {"batch_size": settings.batch_size, "workers": workers, "device": settings.device}
    known, asked = (predict_run(settings.run, one.images, label="features", **how).features for one in (training, test))
    probes = {name: _probe(known, asked, *found) for name, found in values.items()}
    result = TransferResult(path, probes, training.unreadable | test.unreadable)
    write_json(path, {**asdict(result), "training": settings.training, "images": settings.images})
    return result


def _number_column(name: str, training: ImageSet, test: ImageSet) -> tuple[np.ndarray, np.ndarray, int, int]:
    """A column's values as numbers, -1 for none; how many images have none, how many test images an unknown one."""
    for images in (training, test):
        if name not in images.columns:
            raise ImageSetError(
                f"{images.source} has no column {name!r}; --columns takes {show_names(images.columns)}, of a list"
            )
    labels, classes = number_labels(training.columns[name], training.source)
    asked, own = number_labels(test.columns[name], test.source)
    if len(classes) < 2 or not set(own) & set(classes):
        raise ImageSetError(
            f"column {name!r} has {len(classes)} values in {training.source}, {len(set(own) & set(classes))} of which "
            f"{test.source} has; at least 2 and 1 are needed: choose another column"
        )
    position = {value: number for number, value in enumerate(classes)}
    renumbered = np.array([position.get(value, UNLABELLED) for value in own] + [UNLABELLED])[asked]
    missing = int((labels < 0).sum() + (asked < 0).sum())
    return labels, renumbered, missing, int((renumbered < 0).sum() - (asked < 0).sum())


def _probe(
    known: np.ndarray, asked: np.ndarray, labels: np.ndarray, true: np.ndarray, missing: int, unknown: int
) -> Probes:
    known, labels, asked, true = known[labels >= 0], labels[labels >= 0], asked[true >= 0], true[true >= 0]
    strength, choice = choose_strength(known, labels)
    knn = 100 * float((predict_knn(known, labels, asked) == true).mean())
    linear = 100 * float((predict_linear(known, labels, asked, strength) == true).mean())
    return Probes(knn, linear, choice, len(known), len(asked), missing, unknown)


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
