"""A look inside two models of one situation: examples, the projector's words, maps of the features."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int64

from gpt4image.compare.comparison import Arm, Comparison
from gpt4image.evaluate.projector import centred_unit, load_projector, project
from gpt4image.evaluate.record import Predictions, load_features
from gpt4image.report.charts.feature_map import FeatureMap, Layout, choose_classes, draw_maps
from gpt4image.report.inside.examples import Changes, find_changes, mean_probabilities
from gpt4image.report.inside.training_texts import TrainingTexts, load_training_texts
from gpt4image.report.pictures import Pictures, open_pictures
from gpt4image.runs import load_manifest

NUM_MAPPED = 500
NUM_TRAINING = 1000
NUM_WORDS = 6
NUM_DESCRIPTIONS = 3


@dataclass(frozen=True)
class Neighbour:
    """A training image: `picture` as a `data:` URL, its class, its description."""

    picture: str | None
    class_name: str
    text: str


@dataclass(frozen=True)
class Example:
    """One test image and what is said about it; `before` and `after` are (class, probability in percent).

    Attributes:
        picture: `data:` URL.
        key: name of the image.
        truth: its class.
        before: the baseline's answer.
        after: the arm's answer.
        neighbour: the training image most similar in the arm's features, if it is there.
        words: descriptions nearest to what the projector makes of the image.
    """

    picture: str | None
    key: str
    truth: str
    before: tuple[str, float]
    after: tuple[str, float]
    neighbour: Neighbour | None = None
    words: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Inside:
    """All that was found; `notes` say what could not be shown and why."""

    improved: list[Example]
    worsened: list[Example]
    changes: Changes
    words: list[Example]
    maps: list[FeatureMap]
    map_classes: list[str]
    notes: list[str]


@dataclass
class Inspector:
    """Looks at the first seed of an arm against the baseline's.

    Attributes:
        comparison: whose.
        arms: baseline and arm.
        predictions: of both, one a seed, all on the same images.
        pictures: the test images.
        layout: of the maps.
        device: where the models run, or `auto`.
        notes: what could not be shown and why.
    """

    comparison: Comparison
    arms: tuple[Arm, Arm]
    predictions: tuple[list[Predictions], list[Predictions]]
    pictures: Pictures
    layout: Layout = "pca"
    device: str = "auto"
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.digests, self.labels = self.predictions[0][0].digests, self.predictions[0][0].labels
        self.manifest = load_manifest(self.arms[1].runs[0].path)
        self.answers = [mean_probabilities(side) for side in self.predictions]
        self.changes = find_changes(*self.predictions)
        changed = {*self.changes.improved, *self.changes.worsened}
        available = [i for i, digest in enumerate(self.digests) if digest in self.pictures.index]
        # Images spread evenly over the test set, and those that changed and are shown.
        self.sampled = sorted({*_spread(available, NUM_MAPPED), *changed.intersection(available)})
        # A few images for the projector's words, each of another class where there are enough.
        self.worded = _spread(sorted({int(self.labels[i]): i for i in reversed(self.sampled)}.values()), NUM_WORDS)
        self.shown = sorted({*changed, *self.worded})

    def look(self) -> Inside:
        """Takes features of a sample of images from both models and puts together what there is to see."""
        digests = [self.digests[i] for i in self.sampled]
        features = {arm.name: self._features(arm, self.pictures, digests) for arm in self.arms}
        training = open_pictures(self.manifest.images, self.comparison.folder)
        known = None if training is None else training.index.keys()
        texts = load_training_texts(self.manifest, self.comparison.folder, NUM_TRAINING, known)
        neighbours: dict[int, Neighbour] = {}
        words: dict[int, list[str]] = {}
        if texts is None:
            self.notes.append("The descriptions of the training images were not found, so no words are shown.")
        else:
            neighbours = self._neighbours(features[self.arms[1].name], texts, training)
            words = self._words(features[self.arms[1].name], texts)
        examples = {i: self._example(i, neighbours.get(i), words.get(i, [])) for i in self.shown}
        labels, classes = self.labels[self.sampled], self.manifest.classes
        return Inside(
            improved=[examples[i] for i in self.changes.improved],
            worsened=[examples[i] for i in self.changes.worsened],
            changes=self.changes,
            words=[examples[i] for i in self.worded if examples[i].words],
            maps=draw_maps(features, labels, self.layout),
            map_classes=[classes[label] for label in choose_classes(labels)],
            notes=self.notes,
        )

    def _features(self, arm: Arm, pictures: Pictures, digests: Sequence[str]) -> np.ndarray:
        from gpt4image.models.predict_run import predict_run

        kept = load_features(arm.runs[0].path, digests)
        if kept is not None:
            return kept
        how = {"device": self.device, "label": f"looking with {arm.name}"}
        return predict_run(arm.runs[0].path, pictures.subset(digests), digests, **how).features

    def _neighbours(
        self, features: np.ndarray, texts: TrainingTexts, training: Pictures | None
    ) -> dict[int, Neighbour]:
        """The nearest training image of each image shown."""
        if training is None:
            self.notes.append("The training images were not found, so no nearest ones are shown.")
            return {}
        theirs = self._features(self.arms[1], training, texts.digests)
        nearest = dict(zip(self.sampled, find_nearest(features, theirs, 1)[:, 0].tolist(), strict=True))
        found = {}
        for image in self.shown:
            digest, text = texts.digests[nearest[image]], texts.texts[nearest[image]]
            found[image] = Neighbour(training.thumbnail(digest, 96), training.class_name(digest), text)
        return found

    def _words(self, features: np.ndarray, texts: TrainingTexts) -> dict[int, list[str]]:
        """The descriptions nearest to the projection of each sampled image."""
        projector = load_projector(self.arms[1].runs[0].path)
        if projector is None:
            self.notes.append("The run has no projector, so what it sees cannot be told in words.")
            return {}
        nearest = find_nearest(project(projector, features), texts.vectors, NUM_DESCRIPTIONS)
        return {image: [texts.texts[row] for row in nearest[place]] for place, image in enumerate(self.sampled)}

    def _example(self, index: int, neighbour: Neighbour | None, words: list[str]) -> Example:
        digest, classes, picture = self.digests[index], self.manifest.classes, self.pictures
        before, after = (
            (classes[row.argmax()], 100 * float(row.max())) for row in (one[index] for one in self.answers)
        )
        truth = classes[int(self.labels[index])]
        return Example(picture.thumbnail(digest), picture.key(digest), truth, before, after, neighbour, words)


def _spread(images: list[int], most: int) -> list[int]:
    """At most so many of them, evenly spread."""
    return [images[place] for place in np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int)]


def find_nearest(
    queries: Float32[np.ndarray, "q d"], vectors: Float32[np.ndarray, "n d"], most: int
) -> Int64[np.ndarray, "q m"]:
    """The `most` vectors nearest to each query by cosine similarity, both taken relative to their own mean."""
    scores = centred_unit(queries) @ centred_unit(vectors).T
    return np.argsort(-scores, axis=1, kind="stable")[:, :most].astype(np.int64)
