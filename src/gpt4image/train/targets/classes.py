"""The class probabilities each image is taught: its label, all that is known of it, or a teacher's opinion, too."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from gpt4image.errors import RunError
from gpt4image.images import ImageSet
from gpt4image.train.data.inputs import Inputs
from gpt4image.train.settings import TrainSettings
from gpt4image.train.targets.labels import LearntLabels, smooth
from gpt4image.train.targets.source import ClassTargets, LabelTargets, balance, one_hot


def compute_class_targets(settings: TrainSettings, inputs: Inputs) -> ClassTargets:
    """Class probabilities [N, C], zero rows for images that teach no class; balanced ones weigh their classes."""
    targets = _choose_targets(settings, inputs)
    return balance(targets) if settings.balance == "loss" and not settings.freeze else targets


def _choose_targets(settings: TrainSettings, inputs: Inputs) -> LabelTargets | LearntLabels | np.ndarray:
    labels, num_classes = inputs.images.labels, len(inputs.images.classes)
    if settings.teacher is not None:
        own = one_hot(labels, num_classes) if inputs.labels is None else inputs.labels[np.arange(len(labels))]
        return smooth(_add_predictions(own, inputs.images, settings.teacher, settings.device), settings.smoothing)
    if inputs.labels is not None:
        return replace(inputs.labels, smoothing=settings.smoothing)
    return LabelTargets(labels, num_classes, settings.smoothing)


def _add_predictions(classes: np.ndarray, images: ImageSet, teacher: Path, device: str) -> np.ndarray:
    """Class probabilities that also say what a trained model thinks.

    Images without a label get the model's probabilities (Lee 2013, pseudo-labels, kept soft); those with one the
    mean of label and probabilities (Reed et al., arXiv 1412.6596, soft bootstrapping).

    Args:
        classes: float32 [N, C], zero rows where an image has no label.
        images: the N training images.
        teacher: folder of a finished run with the same classes.
        device: where it predicts.

    Raises:
        RunError: the teacher is not finished or knows other classes.
    """
    from scipy.special import softmax

    from gpt4image.models.predict_run import predict_run
    from gpt4image.runs import load_manifest

    known = load_manifest(teacher).classes
    if known != list(images.classes):
        raise RunError(f"{teacher} knows the classes {known}; the images have {list(images.classes)}")
    probabilities = softmax(predict_run(teacher, images, device=device).logits, axis=1)
    labelled = classes.sum(1, keepdims=True) > 0
    return np.where(labelled, (classes + probabilities) / 2, probabilities).astype(np.float32)
