"""The training objective: cross-entropy with the class targets plus the weighted alignment with the texts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gpt4image.train.objectives import losses
from gpt4image.train.objectives.gather import count_processes, count_rows, gather_rows, sum_over_processes
from gpt4image.train.objectives.pairs import Pairs, Related, Shown, described_pairs, own_pairs, relate_classes
from gpt4image.train.targets.source import Targets

LabelLoss = Callable[[Tensor, Tensor], Tensor]
"""Of logits [B, C] and class probabilities [B, C]: the mean over the rows that have a target."""


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
        label_loss: what labels teach by.
        log_prior: [C], added to the logits in the label loss (logit adjustment, arXiv 2007.07314, eq. 10, tau 1): the
            logits themselves then say what they would where all classes are as frequent. None for nothing.
        even: every process has as many rows; where that is not sure, they ask each other once a step and wait for it.
    """

    name: str
    weight: float
    temperature: float = 0.2
    related: Related = "negative"
    adaptive: bool = False
    official: bool = False
    label_loss: LabelLoss = losses.soft_cross_entropy
    log_prior: Tensor | None = None
    even: bool = False

    def __call__(self, logits: Tensor, features: Tensor, projected: Tensor | None, targets: Targets) -> Loss:
        """Loss of a batch.

        Args:
            logits: [B, C].
            features: image features [B, F].
            projected: projected features [B, D], or None for a plain model.
            targets: of the B images.
        """
        shown = logits if self.log_prior is None else logits + self.log_prior
        label = _label_loss(self.label_loss, shown, targets.classes)
        zero = label.new_zeros(())
        if projected is None:
            return Loss(label, label, zero, zero)
        text, enough = self.compute_text_loss(projected, targets)
        weight = self.weight * enough
        if not self.adaptive:
            return Loss(label + weight * text, label, text, weight)
        # TextTeacher (arXiv 2605.22098): L = lambda * alpha * L_txt + (1 - lambda) * L_cls.
        alpha = _gradient_norm(label, features) / _gradient_norm(text, features).clamp_min(1e-12)
        return Loss(weight * alpha * text + (1 - weight) * label, label, text, weight * alpha)

    def compute_text_loss(self, projected: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """The alignment of the described rows of all processes, unweighted, and whether at least two are described.

        Rows are masked, not chosen: how many they are stays on the device, and nothing waits for it.

        Returns:
            The loss, 0 with a gradient of 0 where fewer than two are described; and that as a number, 1 or 0.
        """
        v, text, has_text, shown = projected.float(), targets.text, targets.has_text, targets.shown
        num_described = sum_over_processes(has_text.sum())
        enough = (num_described >= 2).float()
        if self.name in ("byol", "tokens"):
            row_loss = losses.byol_loss if self.name == "byol" else losses.tokens_loss
            per_row = torch.where(has_text, row_loss(v, text), 0)
            return enough * per_row.sum() * count_processes() / num_described.clamp_min(1), enough
        if not (self.official and self.name == "ctr"):
            gather = partial(gather_rows, sizes=count_rows(v, self.even))
            v = gather(v, gradient_scale=1.0 if self.official else None)
            text, has_text, shown = gather(text), gather(has_text), shown.map(gather)
        pairs = self._pair(shown, has_text)
        match self.name:
            case "clip":
                loss = losses.clip_loss(v, text, self.temperature, pairs)
            case "ctr":
                loss = losses.ctr_loss(v, text, self.temperature, pairs)
            case _:
                loss = losses.textteacher_loss(v, text, pairs)
        return enough * loss, enough

    def _pair(self, shown: Shown, has_text: Tensor) -> Pairs:
        own = own_pairs(shown)
        if self.official:
            pairs = Pairs(own.weights, torch.ones_like(own.counts))
        else:
            pairs = relate_classes(own, shown, self.related)
        return described_pairs(pairs, has_text)


def _label_loss(compute_loss: LabelLoss, logits: Tensor, classes: Tensor) -> Tensor:
    """Mean over the labelled rows of all processes, whatever their share on this one."""
    loss, here = compute_loss(logits, classes), classes.sum()
    if count_processes() == 1:
        return loss
    return loss * here * count_processes() / sum_over_processes(here).clamp_min(1e-6)


def _gradient_norm(loss: Tensor, features: Tensor) -> Tensor:
    """Norm of the gradient on the image features of all processes, times the number of processes."""
    (gradient,) = torch.autograd.grad(loss, features, retain_graph=True)
    return sum_over_processes(gradient.float().square().sum()).sqrt()
