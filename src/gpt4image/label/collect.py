"""Opens all that the label stage weighs, and makes the situation that was asked for."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gpt4image import __version__
from gpt4image.describe.prompts.class_names import read_class_names
from gpt4image.errors import LabelError
from gpt4image.images import UNLABELLED, ImageSet, open_images, scan_images
from gpt4image.label.answers import match_answers, read_answers
from gpt4image.label.artifact import FORMAT
from gpt4image.label.settings import LabelSettings
from gpt4image.label.situations.spoil import spoil_labels
from gpt4image.label.weigh import Evidence, Vectors
from gpt4image.label.witnesses.gather import gather_picks, gather_texts
from gpt4image.label.witnesses.prompts import choose_prompts
from gpt4image.models.frozen import find_frozen
from gpt4image.models.image_features import load_image_features


@dataclass(frozen=True)
class Collected:
    """What is known, and about which images.

    Attributes:
        images: the readable images, with the labels that the image set gives.
        digests: theirs.
        unreadable: key of each image left out and why.
        evidence: what is known of them, with the labels of the situation.
        inputs: hashes and settings; equal inputs give equal labels.
        remarks: what was looked for and is missing.
    """

    images: ImageSet
    digests: list[str]
    unreadable: dict[str, str]
    evidence: Evidence
    inputs: dict[str, Any]
    remarks: list[str]


def collect(settings: LabelSettings) -> Collected:
    """Reads images, labels, picks, texts, features and answers.

    Raises:
        LabelError: there are no classes, or nothing is known of any image.
    """
    words = read_class_names(settings.class_names).names
    images = open_images(settings.images)
    scan = scan_images(images)
    readable = np.flatnonzero(scan.readable)
    images, digests = images.subset(readable), [scan.digests[i] for i in readable]
    images = images.with_classes(_name_classes(settings, images, words))
    classes = images.classes
    text_prompts, pick_prompts = choose_prompts(settings.work, settings.text_prompts, settings.pick_prompts)
    picks = gather_picks(settings.work, pick_prompts, digests, classes, words)
    texts = gather_texts(settings.work, settings.embeddings, text_prompts, digests, classes)
    features = _load_features(settings, images, digests)
    given = spoil_labels(settings, images.labels, len(classes), features)
    gold = match_answers(read_answers(settings.work), digests, classes)
    evidence = Evidence(len(classes), given, picks, texts, features, gold)
    if (given == UNLABELLED).all() and not picks and all(one.class_vectors is None for one in texts):
        raise LabelError(
            f"nothing is known about the classes of {settings.images}: no label, no pick in {settings.work}, and no "
            f"embedded class names; ask for picks: gpt4image describe {settings.images} {settings.work} "
            "--prompt pick_class"
        )
    remarks = []
    if not picks:
        remarks.append(
            f"no pick in {settings.work} names a class of these images"
            if pick_prompts
            else f"no picks in {settings.work}"
        )
    if not texts:
        remarks.append(f"no embedded texts in {settings.work}" if text_prompts else f"no texts in {settings.work}")
    inputs = _describe_inputs(settings, images, digests, evidence)
    return Collected(images, digests, scan.errors, evidence, inputs, remarks)


def _name_classes(settings: LabelSettings, images: ImageSet, words: Mapping[str, str]) -> Sequence[str]:
    """The image set's own classes, then those that the file of class names adds."""
    classes = [*images.classes, *(name for name in words if name not in images.classes)]
    if len(classes) < 2:
        raise LabelError(
            f"{settings.images} has {len(classes)} classes; weighing needs at least 2: as class folders, as labels, "
            "or in --class-names FILE (JSON object or CSV with the columns class and name)"
        )
    return classes


def _load_features(settings: LabelSettings, images: ImageSet, digests: Sequence[str]) -> Vectors | None:
    if not settings.uses_features:
        return None
    backbone = find_frozen(settings.features, settings.input_size)
    features = load_image_features(images, digests, backbone, settings.device, settings.workers)
    return Vectors(features.name, "image", features.vectors, features.rows, None)


def _describe_inputs(
    settings: LabelSettings, images: ImageSet, digests: Sequence[str], evidence: Evidence
) -> dict[str, Any]:
    """All that labels are a function of, in hashes."""
    arrays: dict[str, Any] = {"given": evidence.given, "gold": evidence.gold}
    for one in evidence.picks:
        arrays[one.name] = np.stack([one.first, one.second, one.confidence])
    for two in (*evidence.texts, *filter(None, [evidence.images])):
        arrays[two.name] = two.vectors[two.rows[two.rows >= 0][:: max(1, len(two.rows) // 4096)]]
        arrays[f"{two.name} rows"] = two.rows >= 0
    hashes = {name: _hash(np.ascontiguousarray(array).tobytes()) for name, array in arrays.items()}
    own = ("images", "method", "seed", "keep_labels", "wrong_labels", "wrong_kind")
    chosen = {name: value for name, value in asdict(settings).items() if name in own}
    facts = {"keys": _hash("\n".join(images.keys).encode()), "digests": _hash("\n".join(digests).encode())}
    return {
        "version": __version__,
        "format": FORMAT,
        "settings": chosen,
        "classes": list(images.classes),
        **facts,
        "evidence": hashes,
    }


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
