"""The training objective: cross-entropy with the class targets plus the weighted alignment with the texts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gpt4image.train.objectives import losses
from gpt4image.train.objectives.gather import count_processes, gather_rows, sum_over_processes
from gpt4image.train.objectives.pairs import Related, own_pairs, relate_classes
from gpt4image.train.targets.source import Targets


@dataclass
class Loss:
    """The parts of a step's loss, each a scalar tensor."""

    total: Tensor
    label: Tensor
    text: Tensor
    text_weight: Tensor


@dataclass(frozen=True)
class Objective:
    """Computes the loss of a step. Its gradient, averaged over W processes, is that of one process with all rows.

    Attributes:
        name: `none`, or how projected features are aligned with texts.
        weight: lambda.
        temperature: tau of `clip` and `ctr`.
        related: what pairs of different images of the same class count as.
        adaptive: balance the two losses by the norms of their gradients.
        official: behave like the official code in its gather and its negatives (`--compat gpt4image`).
    """

    name: str
    weight: float
    temperature: float = 0.2
    related: Related = "negative"
    adaptive: bool = False
    official: bool = False

    def __call__(self, logits: Tensor, features: Tensor, projected: Tensor | None, targets: Targets) -> Loss:
        """Loss of a batch.

        Args:
            logits: [B, C].
            features: image features [B, F].
            projected: projected features [B, D], or None for a plain model.
            targets: of the B images.
        """
        label = _label_loss(logits, targets.classes)
        zero = label.new_zeros(())
        if projected is None:
            return Loss(label, label, zero, zero)
        text = self.compute_text_loss(projected, targets)
        if text is None:
            return Loss(label + 0 * projected.sum(), label, zero, zero)
        weight = label.new_tensor(self.weight)
        if not self.adaptive:
            return Loss(label + weight * text, label, text, weight)
        # TextTeacher (arXiv 2605.22098): L = lambda * alpha * L_txt + (1 - lambda) * L_cls.
        alpha = _gradient_norm(label, features) / _gradient_norm(text, features).clamp_min(1e-12)
        return Loss(weight * alpha * text + (1 - weight) * label, label, text, weight * alpha)

    def compute_text_loss(self, projected: Tensor, targets: Targets) -> Tensor | None:
        """The alignment of the described rows of all processes, unweighted; None if fewer than two are described."""
        v, described = projected[targets.has_text].float(), targets.described()
        if self.name in ("byol", "tokens"):
            return self._row_wise(v, described.text, projected)
        if not (self.official and self.name == "ctr"):
            v, described = gather_rows(v, 1.0 if self.official else None), described.gather()
        if len(v) < 2:
            return None
        t, pairs = described.text, None
        if not self.official:
            pairs = relate_classes(own_pairs(described.shown), described.shown, self.related)
        match self.name:
            case "clip":
                return losses.clip_loss(v, t, self.temperature, pairs)
            case "ctr":
                return losses.ctr_loss(v, t, self.temperature, pairs)
        return losses.textteacher_loss(v, t, pairs)

    def _row_wise(self, v: Tensor, t: Tensor, projected: Tensor) -> Tensor | None:
        """A mean over the described rows of all processes, without gathering them."""
        num_described = sum_over_processes(v.new_tensor(len(v)))
        if num_described < 2:
            return None
        if len(v) == 0:
            return 0 * projected.float().sum()
        mean = losses.byol_loss(v, t) if self.name == "byol" else losses.soft_cross_entropy(v, t)
        return mean * (len(v) * count_processes() / num_described)


def _label_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean over the labelled rows of all processes, whatever their share on this one."""
    loss, here = losses.soft_cross_entropy(logits, classes), classes.sum()
    if count_processes() == 1:
        return loss
    return loss * here * count_processes() / sum_over_processes(here).clamp_min(1e-6)


def _gradient_norm(loss: Tensor, features: Tensor) -> Tensor:
    """Norm of the gradient on the image features of all processes, times the number of processes."""
    (gradient,) = torch.autograd.grad(loss, features, retain_graph=True)
    return sum_over_processes(gradient.float().square().sum()).sqrt()
