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

SURE = 0.95
"""FixMatch's threshold on the largest probability (arXiv 2001.07685, table 4)."""


def compute_class_targets(settings: TrainSettings, inputs: Inputs) -> ClassTargets:
    """Class probabilities [N, C], zero rows for images that teach no class; balanced ones weigh their classes."""
    targets = _choose_targets(settings, inputs)
    return balance(targets) if settings.balance == "loss" and not settings.freeze else targets


def _choose_targets(settings: TrainSettings, inputs: Inputs) -> LabelTargets | LearntLabels | np.ndarray:
    labels, num_classes = inputs.images.labels, len(inputs.images.classes)
    if settings.teacher is not None:
        own = one_hot(labels, num_classes) if inputs.labels is None else inputs.labels[np.arange(len(labels))]
        predicted = _predict(inputs.images, settings.teacher, settings.device)
        add = add_soft_predictions if settings.freeze else add_sure_predictions
        return smooth(add(own, predicted), settings.smoothing)
    if inputs.labels is not None:
        return replace(inputs.labels, smoothing=settings.smoothing)
    return LabelTargets(labels, num_classes, settings.smoothing)


def _predict(images: ImageSet, teacher: Path, device: str) -> np.ndarray:
    """Class probabilities [N, C] by a trained model, of the images as they are.

    Raises:
        RunError: the teacher is not finished or knows other classes.
    """
    from scipy.special import softmax

    from gpt4image.models.predict_run import predict_run
    from gpt4image.runs import load_manifest

    known = load_manifest(teacher).classes
    if known != list(images.classes):
        raise RunError(f"{teacher} knows the classes {known}; the images have {list(images.classes)}")
    return softmax(predict_run(teacher, images, device=device).logits, axis=1)


def add_soft_predictions(classes: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Class probabilities [N, C] that also say what a trained model thinks, for a head on frozen features.

    Images without a label get the model's probabilities (Lee 2013, pseudo-labels, kept soft); those with one the
    mean of label and probabilities (Reed et al., arXiv 1412.6596, soft bootstrapping).
    """
    labelled = classes.sum(1, keepdims=True) > 0
    return np.where(labelled, (classes + predicted) / 2, predicted).astype(np.float32)


def add_sure_predictions(classes: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """FixMatch's rule (arXiv 2001.07685, eq. 4): what the model is sure of, on the plain image, is learnt as if it were
    a label, from the augmented one.

    Deviations: the model is the teacher, trained before, rather than the one being trained; an image with a label that
    the model is sure is another class learns both, half each, as labels may be wrong here.
    """
    labelled, sure = classes.sum(1, keepdims=True) > 0, predicted.max(1, keepdims=True) >= SURE
    hard = np.eye(predicted.shape[1], dtype=np.float32)[predicted.argmax(1)] * sure
    return np.where(labelled & sure, (classes + hard) / 2, np.where(labelled, classes, hard)).astype(np.float32)
