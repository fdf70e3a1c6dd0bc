"""How label and text losses come together, against loops and gradients taken by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from gpt4image.train.objectives import losses
from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.pairs import Shown
from gpt4image.train.targets.source import Targets

NAMES = ["clip", "ctr", "byol", "textteacher", "tokens"]


@pytest.fixture
def batch() -> tuple[nn.Linear, nn.Linear, Tensor, Targets]:
    """Head, projector, image features and targets of 6 images."""
    torch.manual_seed(0)
    features = torch.randn(6, 5, requires_grad=True)
    text = torch.randn(6, 4).softmax(1)
    classes = torch.eye(3)[[0, 1, 2, 0, 1, 2]]
    targets = Targets(classes, text, torch.ones(6, dtype=torch.bool), Shown.whole(torch.arange(6), classes))
    return nn.Linear(5, 3), nn.Linear(5, 4), features, targets


def compute(batch, name: str, targets: Targets | None = None, weight: float = 0.3, **kwargs):
    head, projector, features, given = batch
    objective = Objective(name, weight, **kwargs)
    return objective(head(features), features, projector(features), targets or given)


@pytest.mark.parametrize("name", NAMES)
def test_the_total_is_label_plus_lambda_text(batch, name: str) -> None:
    head, _, features, targets = batch
    loss = compute(batch, name)
    label = nn.functional.cross_entropy(head(features), targets.classes.argmax(1))
    assert loss.label.item() == pytest.approx(label.item())
    assert loss.total.item() == pytest.approx(label.item() + 0.3 * loss.text.item())


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_description_masks_its_own_text_loss_only(batch, name: str) -> None:
    """Row 2 has none: text teaches it nothing, and the others learn as if it were not in the batch."""
    head, projector, features, targets = batch
    has_text = torch.tensor([True, True, False, True, True, True])
    text = torch.where(has_text[:, None], targets.text, 0)
    missing = replace(targets, text=text, has_text=has_text)
    loss = compute(batch, name, missing)
    (text_gradient,) = torch.autograd.grad(loss.text, features, retain_graph=True)
    assert text_gradient[2].abs().max() == 0
    assert (text_gradient[has_text].abs().sum(1) > 0).all()

    kept = features[has_text].detach().requires_grad_()
    shown = targets.shown.map(lambda part: part[has_text])
    without = Targets(targets.classes[has_text], text[has_text], has_text[has_text], shown)
    alone = Objective(name, 0.3)(head(kept), kept, projector(kept), without)
    (wanted,) = torch.autograd.grad(alone.text, kept)
    assert text_gradient[has_text] == pytest.approx(wanted, abs=1e-6)

    (total_gradient,) = torch.autograd.grad(loss.total, features)
    label = nn.functional.cross_entropy(head(features), targets.classes.argmax(1))
    (label_gradient,) = torch.autograd.grad(label, features)
    assert total_gradient[2] == pytest.approx(label_gradient[2], abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("described", [0, 1])
def test_without_texts_to_compare_only_labels_teach(batch, name: str, described: int) -> None:
    _, projector, _, targets = batch
    has_text = torch.arange(6) < described
    loss = compute(batch, name, replace(targets, has_text=has_text))
    assert loss.total.item() == loss.label.item()
    loss.total.backward()
    # DDP needs a gradient of every parameter.
    assert projector.weight.grad.abs().max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_adaptive_weight_balances_the_gradients(batch, name: str) -> None:
    """TextTeacher: total = lambda alpha L_txt + (1 - lambda) L_cls, alpha = |dL_cls/dz| / |dL_txt/dz|."""
    features = batch[2]
    loss = compute(batch, name, weight=0.4, adaptive=True)
    norms = [
        math.sqrt(sum(float(g) ** 2 for g in torch.autograd.grad(part, features, retain_graph=True)[0].flatten()))
        for part in (loss.label, loss.text)
    ]
    alpha = norms[0] / norms[1]
    assert loss.text_weight.item() == pytest.approx(0.4 * alpha, rel=1e-5)
    wanted = 0.4 * alpha * loss.text.item() + 0.6 * loss.label.item()
    assert loss.total.item() == pytest.approx(wanted, rel=1e-5)
    # alpha is a constant, not a part of what is differentiated.
    (gradient,) = torch.autograd.grad(loss.total, features, retain_graph=True)
    label, text = (torch.autograd.grad(part, features, retain_graph=True)[0] for part in (loss.label, loss.text))
    assert gradient == pytest.approx(0.6 * label + 0.4 * alpha * text, abs=1e-6)


def test_the_official_objective_takes_copies_for_negatives(batch) -> None:
    head, projector, features, targets = batch
    copies = replace(targets, shown=Shown.whole(torch.tensor([0, 0, 0, 1, 1, 1]), targets.classes))
    right, official = (
        Objective("clip", 0.3, official=official)(head(features), features, projector(features), copies)
        for official in (False, True)
    )
    assert official.text.item() == pytest.approx(compute(batch, "clip").text.item())
    assert right.text.item() < official.text.item()


def test_the_prior_is_added_to_the_logits_of_the_label_loss_alone(batch) -> None:
    head, _, features, targets = batch
    log_prior = torch.tensor([0.7, 0.2, 0.1]).log()
    plain, adjusted = compute(batch, "clip"), compute(batch, "clip", log_prior=log_prior)
    slow = 0.0
    for row, label in zip(head(features), targets.classes.argmax(1), strict=True):
        terms = [math.exp(z + p) for z, p in zip(row.tolist(), log_prior.tolist(), strict=True)]
        slow -= math.log(terms[label] / sum(terms)) / len(features)
    assert adjusted.label.item() == pytest.approx(slow, rel=1e-5)
    assert adjusted.text.item() == plain.text.item()


def test_labels_may_teach_by_another_loss(batch) -> None:
    head, _, features, targets = batch
    found = compute(batch, "clip", label_loss=losses.generalised_cross_entropy).label
    assert found.item() == pytest.approx(losses.generalised_cross_entropy(head(features), targets.classes).item())
