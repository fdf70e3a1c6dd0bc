"""The head against slow fits of the same losses, written out."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from gpt4image.train.frozen.head import BIAS_PENALTY, ScaledFeatures, fit_head
from gpt4image.train.frozen.robust import fit_robust_head
from gpt4image.train.objectives.losses import GCE_Q


def draw(counts: tuple[int, ...], seed: int = 0, width: int = 4) -> tuple[Tensor, Tensor]:
    """Overlapping classes of these sizes, the same centres whatever the seed."""
    centres = np.random.default_rng(7).normal(size=(len(counts), width)) * 1.2
    labels = np.repeat(np.arange(len(counts)), counts)
    features = centres[labels] + np.random.default_rng(seed).normal(size=(len(labels), width))
    return torch.from_numpy(features).float(), torch.from_numpy(labels)


def fit_slowly(features: Tensor, targets: Tensor, penalty: float, log_prior: Tensor | None = None) -> Tensor:
    """Logits by the loss as it is written: prior added to the logits, biases drawn to minus it, without rotation."""
    scaled = ScaledFeatures(features)
    rows, wanted = scaled.rows.double(), targets.double()
    num_classes = targets.shape[1]
    prior = torch.zeros(num_classes).double() if log_prior is None else log_prior.double()

    def compute_loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        free = torch.from_numpy(flat).reshape(-1, num_classes).requires_grad_()
        log_p = (rows @ free[:-1] + free[-1] + prior).log_softmax(1)
        loss = -(wanted * log_p).sum() + penalty / 2 * free[:-1].square().sum()
        loss = loss + BIAS_PENALTY / 2 * (free[-1] + prior).square().sum()
        (gradient,) = torch.autograd.grad(loss, free)
        return loss.item(), gradient.numpy().ravel()

    first = np.zeros((rows.shape[1] + 1) * num_classes)
    found = minimize(compute_loss, first, jac=True, options={"gtol": 1e-6, "maxiter": 3000}).x.reshape(-1, num_classes)
    return rows @ torch.from_numpy(found[:-1]) + torch.from_numpy(found[-1])


@pytest.mark.parametrize("balance", ["none", "prior"])
def test_the_head_is_what_a_slow_fit_finds(balance: str) -> None:
    features, labels = draw((40, 12, 5))
    targets = torch.eye(3)[labels]
    head = fit_head(features, targets, balance=balance)
    log_prior = (targets.mean(0)).log() if balance == "prior" else None
    slow = fit_slowly(features, targets, head.penalty, log_prior)
    found = head.compute_logits(features).double()
    # Logits are only known but for a constant a row.
    assert torch.allclose(found.log_softmax(1), slow.log_softmax(1), atol=5e-3)


def test_the_prior_finds_rare_classes() -> None:
    features, labels = draw((300, 30, 6))
    unseen, true = draw((200, 200, 200), seed=1)
    heads = [fit_head(features, torch.eye(3)[labels], balance=balance) for balance in ("none", "prior")]
    plain, balanced = ((head.compute_logits(unseen).argmax(1) == true).float().mean() for head in heads)
    assert balanced > plain + 0.05


def test_the_prior_changes_nothing_where_classes_are_as_frequent() -> None:
    features, labels = draw((20, 20, 20))
    plain, balanced = (fit_head(features, torch.eye(3)[labels], balance=balance) for balance in ("none", "prior"))
    assert torch.equal(plain.weight, balanced.weight)
    assert torch.allclose(balanced.bias - plain.bias, torch.full((3,), float(np.log(3))), atol=1e-5)


def test_the_robust_head_is_a_stationary_point_of_its_loss() -> None:
    features, labels = draw((60, 60, 60))
    wrong = torch.arange(len(labels)) % 3 == 0
    targets = torch.eye(3)[torch.where(wrong, (labels + 1) % 3, labels)]
    scaled = ScaledFeatures(features)
    plain, robust = fit_head(scaled, targets), fit_robust_head(scaled, targets)

    def compute_gradient(head) -> float:
        """Of L_q and the penalties, by weights of scaled features, in units of that of the untrained head."""
        weight = (head.weight * scaled.scale).double().requires_grad_()
        bias = (head.bias + head.weight @ scaled.mean).double().requires_grad_()
        p = (scaled.rows.double() @ weight.T + bias).softmax(1)
        loss = (targets * (1 - p**GCE_Q) / GCE_Q).sum() + head.penalty / 2 * weight.square().sum()
        loss = loss + BIAS_PENALTY / 2 * bias.square().sum()
        return float(torch.autograd.grad(loss, weight)[0].norm())

    assert compute_gradient(robust) < 0.1 * compute_gradient(plain)
    p_wrong = [head.compute_logits(features).softmax(1)[wrong, labels[wrong]].mean() for head in (plain, robust)]
    assert p_wrong[1] > p_wrong[0]
