"""The class probabilities each image is taught: its label, what label and text say together, or a teacher's opinion."""

from typing import Any

from gpt4image.label.weigh import weigh_labels
from gpt4image.train.data.inputs import Inputs
from gpt4image.train.settings import TrainSettings
from gpt4image.train.targets.self_training import add_predictions
from gpt4image.train.targets.source import ClassTargets, LabelTargets, one_hot, smooth


def compute_class_targets(settings: TrainSettings, inputs: Inputs) -> tuple[ClassTargets, dict[str, Any]]:
    """Class probabilities [N, C], zero rows for images that teach no class, and facts about the reader."""
    labels, num_classes = inputs.images.labels, len(inputs.images.classes)
    if settings.teacher is not None:
        classes = add_predictions(one_hot(labels, num_classes), inputs.images, settings.teacher, settings.device)
        return smooth(classes, settings.smoothing), {}
    if settings.reader and inputs.table is not None and inputs.index is not None:
        weighed = weigh_labels(inputs.images, inputs.table, inputs.index, settings.seed)
        classes = one_hot(labels, num_classes)
        classes[weighed.described] = weighed.posterior
        return smooth(classes, settings.smoothing), weighed.facts
    return LabelTargets(labels, num_classes, settings.smoothing), {}
