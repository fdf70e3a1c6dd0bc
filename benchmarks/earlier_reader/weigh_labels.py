"""What label and text say together of each described image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gpt4image.label.class_texts import ClassTexts

from earlier_reader.mixture import refine_with_mixture
from earlier_reader.posterior import compute_posterior, estimate_accuracy
from earlier_reader.reader import Reading, read_texts, scale_features
from earlier_reader.witness import Witness
from earlier_reader.zero_shot import read_by_class_names
from gpt4image.embed.join import TextIndex
from gpt4image.embed.table import EmbeddingTable
from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.errors import DescriptionError
from gpt4image.images import UNLABELLED, ImageSet
from gpt4image.progress import say


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


def weigh_labels(images: ImageSet, table: EmbeddingTable, index: TextIndex, seed: int) -> WeighedLabels:
    """Fits the reader to the described images; a function of its arguments alone.

    Args:
        images: the N images, with the labels that may be seen.
        table: the texts' embeddings.
        index: rows of each image in the table.
        seed: of the folds.

    Raises:
        DescriptionError: there is neither a label nor an embedded class name to read the texts by.
    """
    embeddings = TextEmbeddings(table, index)
    described = np.flatnonzero(embeddings.has_text())
    labels, texts = images.labels[described], embeddings.gather(described)
    names = table.class_vectors(images.classes)
    features, class_features = scale_features(texts, names)
    labelled, num_classes = labels != UNLABELLED, len(images.classes)
    by_text: np.ndarray | None = None
    says_nothing = False
    if labelled.any():
        witness = Witness(images, described, seed)
        reading = read_texts(features, labels, num_classes, class_features, seed, witness)
        by_text = reading.probabilities
        posterior = compute_posterior(by_text, labels, reading.calibration.channel)
        facts, says_nothing = _facts(reading, labels, images.classes), reading.calibration.says_nothing
    elif names is not None:
        posterior, facts = read_by_class_names(texts, names), {"zero_shot": True}
    else:
        raise DescriptionError(
            f"{images.source} has no labels and {table.folder} no embeddings of its class names; "
            f"embed them: gpt4image embed WORK --class-names {' '.join(images.classes)}"
        )
    if says_nothing and not labelled.all():
        say("warning: the texts say nothing about the classes; images without a label teach none (gpt4image lint)")
        posterior[~labelled] = 0
    elif not labelled.all() and not isinstance(table, ClassTexts):
        mixture = refine_with_mixture(features, posterior, labelled)
        posterior = np.where(labelled[:, None], posterior, (posterior + mixture) / 2)
    return WeighedLabels(described, by_text, posterior, facts)


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
