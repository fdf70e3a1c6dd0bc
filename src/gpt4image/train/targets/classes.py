"""The class probabilities each image is taught: its label, or what label and text say together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.errors import DescriptionError
from gpt4image.images import UNLABELLED
from gpt4image.label.mixture import refine_with_mixture
from gpt4image.label.posterior import compute_posterior, estimate_accuracy
from gpt4image.label.reader import Reading, read_texts, scale_features
from gpt4image.label.witness import Witness
from gpt4image.label.zero_shot import read_by_class_names
from gpt4image.progress import say
from gpt4image.train.data.inputs import Inputs
from gpt4image.train.settings import TrainSettings
from gpt4image.train.targets.self_training import add_predictions
from gpt4image.train.targets.source import ClassTargets, LabelTargets, one_hot, smooth


@dataclass(frozen=True)
class WeighedLabels:
    """What label and text say together of the M described images.

    Attributes:
        described: int64 [M], their positions in the image set.
        by_text: [M, C], what the text alone says, by a reader that did not see the label; None if there is no label.
        posterior: [M, C], what both say; zero rows of images without a label if texts say nothing about classes.
        facts: what the reader found out, as plain values.
    """

    described: np.ndarray
    by_text: np.ndarray | None
    posterior: np.ndarray
    facts: dict[str, Any]


def compute_class_targets(settings: TrainSettings, inputs: Inputs) -> tuple[ClassTargets, dict[str, Any]]:
    """Class probabilities [N, C], zero rows for images that teach no class, and facts about the reader."""
    labels, num_classes = inputs.images.labels, len(inputs.images.classes)
    if settings.teacher is not None:
        classes = add_predictions(one_hot(labels, num_classes), inputs.images, settings.teacher, settings.device)
        return smooth(classes, settings.smoothing), {}
    if settings.reader and inputs.table is not None:
        weighed, classes = weigh_labels(settings, inputs), one_hot(labels, num_classes)
        classes[weighed.described] = weighed.posterior
        return smooth(classes, settings.smoothing), weighed.facts
    return LabelTargets(labels, num_classes, settings.smoothing), {}


def _facts(reading: Reading, labels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """What the reader found out, as plain values."""
    calibration = reading.calibration
    return {
        "accuracy": estimate_accuracy(reading.probabilities, labels, calibration.share_wrong),
        "penalty": reading.penalty,
        "temperature": calibration.temperature,
        "noise": calibration.share_wrong,
        "confusions": [
            {"class": names[y], "labelled": names[label], "share": float(calibration.confusions[y, label])}
            for y, label in np.argwhere(calibration.confusions > 0)
        ],
        "log_likelihood": calibration.log_likelihood,
        "says_nothing": calibration.says_nothing,
    }


def weigh_labels(settings: TrainSettings, inputs: Inputs) -> WeighedLabels:
    """Fits the reader to the described images; a function of settings and inputs alone.

    Raises:
        DescriptionError: there is neither a label nor an embedded class name to read the texts by.
    """
    assert inputs.table is not None
    assert inputs.index is not None
    embeddings = TextEmbeddings(inputs.table, inputs.index)
    described = np.flatnonzero(embeddings.has_text())
    labels, texts = inputs.images.labels[described], embeddings.gather(described)
    names = inputs.table.class_vectors(inputs.images.classes)
    features, class_features = scale_features(texts, names)
    labelled, num_classes = labels != UNLABELLED, len(inputs.images.classes)
    by_text: np.ndarray | None = None
    says_nothing = False
    if labelled.any():
        witness = Witness(inputs.images, described, settings.seed)
        reading = read_texts(features, labels, num_classes, class_features, settings.seed, witness)
        by_text = reading.probabilities
        posterior = compute_posterior(by_text, labels, reading.calibration.channel)
        facts, says_nothing = _facts(reading, labels, inputs.images.classes), reading.calibration.says_nothing
    elif names is not None:
        posterior, facts = read_by_class_names(texts, names), {"zero_shot": True}
    else:
        raise DescriptionError(
            f"{settings.images} has no labels and {inputs.table.folder} no embeddings of its class names; "
            f"embed them: gpt4image embed {settings.work} --class-names {' '.join(inputs.images.classes)}"
        )
    if says_nothing and not labelled.all():
        say("warning: the texts say nothing about the classes; images without a label teach none (gpt4image lint)")
        posterior[~labelled] = 0
    elif not labelled.all() and settings.text_source == "descriptions":
        mixture = refine_with_mixture(features, posterior, labelled)
        posterior = np.where(labelled[:, None], posterior, (posterior + mixture) / 2)
    return WeighedLabels(described, by_text, posterior, facts)
