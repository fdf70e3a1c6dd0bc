"""The training objective: cross-entropy with the class targets plus the weighted alignment with the texts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gpt4image.errors import SettingsError
from gpt4image.train import losses
from gpt4image.train.targets import Targets

CENTRED = ("textteacher",)
"""Objectives whose text targets have the table's mean subtracted."""
NEEDS_NEGATIVES = ("clip", "ctr", "textteacher")


@dataclass
class Loss:
    """The parts of a step's loss, each a scalar tensor."""

    total: Tensor
    label: Tensor
    text: Tensor
    text_weight: Tensor


class Objective:
    """Computes the loss of a step.

    Args:
        name: `none`, `clip`, `ctr`, `byol` or `textteacher`.
        weight: lambda.
        temperature: tau of `clip` and `ctr`.
    """

    def __init__(self, name: str, weight: float, temperature: float) -> None:
        self.name, self.weight, self.temperature = name, weight, temperature

    def __call__(self, logits: Tensor, features: Tensor, projected: Tensor | None, targets: Targets) -> Loss:
        """Loss of a batch: logits [B, C], image features [B, F], projected features [B, D], targets."""
        label = losses.soft_cross_entropy(logits, targets.classes)
        zero = label.new_zeros(())
        if projected is None or targets.has_text is None:
            return Loss(label, label, zero, zero)
        described = targets.described()
        if len(described.classes) < 2:
            return Loss(label + 0 * projected.sum(), label, zero, zero)
        text = self.text_loss(projected[targets.has_text].float(), described)
        if self.name == "textteacher":
            return self._with_norm_weight(label, text, features)
        return Loss(label + self.weight * text, label, text, zero + self.weight)

    def text_loss(self, projected: Tensor, targets: Targets) -> Tensor:
        """The alignment of projected features [B, D] with the targets' texts, all rows described."""
        assert targets.text is not None
        match self.name:
            case "clip":
                return losses.clip_loss(projected, targets.text, self.temperature, targets.same)
            case "ctr":
                return losses.ctr_loss(projected, targets.text, self.temperature, targets.same)
            case "byol":
                return losses.byol_loss(projected, targets.text)
            case "textteacher":
                return losses.textteacher_loss(projected, targets.text, targets.same)
        raise SettingsError(f"--objective is {self.name!r}; choose none, clip, ctr, byol or textteacher")

    def _with_norm_weight(self, label: Tensor, text: Tensor, features: Tensor) -> Loss:
        """L = lambda * alpha * L_txt + (1 - lambda) * L_cls with alpha = |dL_cls/dz| / |dL_txt/dz| on the image
        features z, anew in each step (TextTeacher, arXiv 2605.22098)."""
        (label_gradient,) = torch.autograd.grad(label, features, retain_graph=True)
        (text_gradient,) = torch.autograd.grad(text, features, retain_graph=True)
        alpha = label_gradient.float().norm() / text_gradient.float().norm().clamp_min(1e-12)
        total = self.weight * alpha * text + (1 - self.weight) * label
        return Loss(total, label, text, self.weight * alpha)
