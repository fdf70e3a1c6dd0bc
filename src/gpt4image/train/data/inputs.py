"""Opens what training needs: readable images, their labels, and the text embeddings joined by digest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gpt4image.embed.join import TextIndex, join_digests
from gpt4image.embed.sources import read_texts
from gpt4image.embed.table import EmbeddingTable, find_table
from gpt4image.errors import DescriptionError, ImageSetError
from gpt4image.images import UNLABELLED, ImageSet, open_images, scan_images
from gpt4image.label.artifact import LabelTable
from gpt4image.label.situations.choose import choose_described, choose_validation
from gpt4image.progress import say
from gpt4image.runs import hash_digests
from gpt4image.train.data.class_texts import use_labels_as_texts
from gpt4image.train.settings import TrainSettings
from gpt4image.train.targets.labels import LearntLabels, choose_labels, tell_what_is_unused


@dataclass(frozen=True)
class Inputs:
    """What a run is trained on.

    Attributes:
        images: readable images with the labels that training may see: of weighed ones the most probable.
        digests: theirs.
        labels: what is learnt of weighed labels, or None where the given labels are learnt as they are.
        validation: images set aside to choose the best epoch, or None.
        unreadable: key of each image left out and why.
        table: text embeddings, or None for a plain model.
        index: rows of each image in the table.
        texts: the descriptions of each image for the objective that learns their words, else None.
        validation_digests: of the images set aside.
    """

    images: ImageSet
    digests: list[str]
    labels: LearntLabels | None
    validation: ImageSet | None
    unreadable: dict[str, str]
    table: EmbeddingTable | None
    index: TextIndex | None
    texts: list[list[str]] | None = None
    validation_digests: Sequence[str] = ()

    @cached_property
    def digests_hash(self) -> str:
        """Of the images in order."""
        return hash_digests(self.digests)

    @property
    def num_labelled(self) -> int:
        """Images with a label."""
        return int((self.images.labels != UNLABELLED).sum())

    @property
    def num_described(self) -> int:
        """Images with a description."""
        if self.texts is not None:
            return sum(map(bool, self.texts))
        return 0 if self.index is None else int((self.index.count > 0).sum())

    def content(self) -> dict[str, Any]:
        """What must not change while a run is interrupted."""
        parts: list[str] = []
        if self.table is not None and self.index is not None:
            hashes = self.table.rows["text_hash"].take(np.sort(self.index.rows)).to_pylist()
            parts += [self.table.manifest["encoder"], *hashes]
        parts += [text for own in self.texts or () for text in own]
        labels = {} if self.labels is None else {"labels hash": self.labels.hash}
        return {"images hash": self.digests_hash, "texts hash": hash_digests(parts) if parts else None, **labels}


def load_inputs(settings: TrainSettings) -> Inputs:
    """Opens images and text embeddings.

    Raises:
        ImageSetError: there are no labelled images to learn from.
        LabelError: the weighed labels are missing or are of other images.
        DescriptionError: the text embeddings are missing or are of other images.
    """
    images = open_images(settings.images)
    scan = scan_images(images)
    readable = np.flatnonzero(scan.readable)
    images, digests = images.subset(readable), [scan.digests[i] for i in readable]
    labels = None
    if settings.labels is not None:
        assert settings.work is not None
        table = LabelTable.open(settings.work, settings.labels)
        labels = choose_labels(table, settings.targets, images, digests, settings.distillation)
        images = images.with_classes(labels.class_names).with_labels(labels.most_probable)
    elif settings.work is not None:
        say(tell_what_is_unused(settings.work, images))
    if len(images.classes) < 2:
        raise ImageSetError(
            f"{settings.images} has {len(images.classes)} classes; training needs at least 2, as class folders or as "
            "labels in a column, a .cls or a .json (hf: and webdataset: take ?label=NAME)"
        )
    validation, validation_digests = None, []
    if settings.validation_share:
        aside = choose_validation(images.labels, settings.validation_share, settings.seed)
        validation, rest = images.subset(np.flatnonzero(aside)), np.flatnonzero(~aside)
        validation_digests = [digests[i] for i in np.flatnonzero(aside)]
        images, digests = images.subset(rest), [digests[i] for i in rest]
        labels = None if labels is None else labels.subset(rest)
    vectors, index = _load_embeddings(settings, images, digests)
    texts = _load_texts(settings, images, digests)
    if vectors is None and texts is None and not (images.labels != UNLABELLED).any():
        raise ImageSetError(f"{settings.images} has no labels; a plain model needs some (gpt4image label, --labels)")
    return Inputs(images, digests, labels, validation, scan.errors, vectors, index, texts, validation_digests)


def _load_embeddings(
    settings: TrainSettings, images: ImageSet, digests: list[str]
) -> tuple[EmbeddingTable | None, TextIndex | None]:
    if not settings.uses_text or settings.objective == "tokens":
        return None, None
    assert settings.work is not None
    table = EmbeddingTable.open(find_table(settings.work, settings.embeddings))
    if settings.text_source == "label":
        names, of_labels = use_labels_as_texts(table, images)
        return names, _texts_of_situation(of_labels, settings)
    index = table.join(digests, settings.prompts)
    if not index.count.any():
        raise DescriptionError(
            f"none of the {len(table.vectors)} text embeddings in {table.folder} is about one of the {len(digests)} "
            f"images in {settings.images}; describe and embed these images first"
        )
    return table, _texts_of_situation(index, settings)


def _load_texts(settings: TrainSettings, images: ImageSet, digests: list[str]) -> list[list[str]] | None:
    """The descriptions of each image, for the objective that needs no encoder."""
    if settings.work is None or settings.objective != "tokens":
        return None
    if settings.text_source == "label":
        names = [images.class_name(image) for image in range(len(images))]
        return [[] if name is None else [name.replace("_", " ")] for name in names]
    found = read_texts(settings.work, settings.prompts, None)
    index = _texts_of_situation(join_digests(found["digest"], digests), settings)
    if not index.count.any():
        raise DescriptionError(
            f"none of the {len(found)} descriptions in {settings.work} is about one of the {len(digests)} images in "
            f"{settings.images}; describe these images first"
        )
    texts = found["text"].to_pylist()
    return [[texts[row] for row in index.of(image)] for image in range(len(digests))]


def _texts_of_situation(index: TextIndex, settings: TrainSettings) -> TextIndex:
    if settings.described < 1:
        index = replace(index, count=index.count * choose_described(index.count, settings.described, settings.seed))
    return shuffle_texts(index, settings.seed) if settings.shuffle_texts else index


def shuffle_texts(index: TextIndex, seed: int) -> TextIndex:
    """Gives every described image the texts of another one: a random cyclic order, so none keeps its own."""
    described = np.random.default_rng([seed, 6]).permutation(np.flatnonzero(index.count))
    start, count = index.start.copy(), index.count.copy()
    start[described], count[described] = index.start[np.roll(described, 1)], index.count[np.roll(described, 1)]
    return replace(index, start=start, count=count)
