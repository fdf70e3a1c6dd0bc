"""The recipes against what was published (arXiv 2306.00693 and its official code)."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.data import RandomResizedCropAndInterpolation, create_transform
from timm.data.auto_augment import RandAugment
from timm.data.random_erasing import RandomErasing
from torch import nn
from torchvision import transforms

from gpt4image.cli import parse_settings
from gpt4image.images import open_images
from gpt4image.train import TrainSettings
from gpt4image.train.data.augment import create_augmentation, create_mixup
from gpt4image.train.objectives.network import AlignedNetwork
from gpt4image.train.objectives.projector import create_projector
from gpt4image.train.optimizer import Schedule, create_optimizer
from gpt4image.train.setup import _create_data_config, _create_objective

RECIPES = Path(__file__).parents[2] / "recipes"


def load_recipe(name: str, *flags: str, images: str = "images") -> TrainSettings:
    return parse_settings("train", TrainSettings, [images, "run", "--config", str(RECIPES / f"{name}.yaml"), *flags])


def create_network() -> AlignedNetwork:
    return AlignedNetwork(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)), None)


def rates_by_epoch(settings: TrainSettings, network: AlignedNetwork) -> list[float]:
    optimizer = create_optimizer(settings, network)
    schedule, rates = Schedule(settings, optimizer, updates_per_epoch=2), []
    for epoch in range(settings.epochs):
        schedule.set_lr(2 * epoch + 1)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def find(transform: Any, kind: type) -> Any:
    return next((part for part in transform.transforms if isinstance(part, kind)), None)


def test_resnet50_optimizer_and_schedule() -> None:
    settings, network = load_recipe("resnet50_imagenet"), create_network()
    assert (settings.model, settings.epochs, settings.batch_size) == ("resnet50", 120, 1024)
    optimizer = create_optimizer(settings, network)
    assert isinstance(optimizer, torch.optim.SGD)
    assert (optimizer.defaults["momentum"], optimizer.defaults["nesterov"]) == (0.9, False)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 1e-4}
    wanted = [1e-5 + (0.4 - 1e-5) * (1 + math.cos(math.pi * epoch / 120)) / 2 for epoch in range(120)]
    assert rates_by_epoch(settings, network) == pytest.approx(wanted)
    assert settings.clip_grad is None


def test_deit_base_optimizer_and_schedule() -> None:
    settings, network = load_recipe("deit_base_imagenet"), create_network()
    assert (settings.model, settings.epochs, settings.batch_size) == ("deit_base_patch16_224", 300, 1024)
    assert settings.model_kwargs == {"drop_path_rate": 0.1}
    optimizer = create_optimizer(settings, network)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.05}
    warm_up = [1e-6 + epoch * (1e-3 - 1e-6) / 5 for epoch in range(5)]
    cosine = [1e-5 + (1e-3 - 1e-5) * (1 + math.cos(math.pi * epoch / 300)) / 2 for epoch in range(5, 300)]
    assert rates_by_epoch(settings, network) == pytest.approx(warm_up + cosine)
    assert settings.ema_decay == 0.99996
    assert settings.clip_grad is None


@pytest.fixture
def images(tmp_path: Path):
    from PIL import Image

    (tmp_path / "a").mkdir()
    Image.new("RGB", (300, 300)).save(tmp_path / "a" / "x.jpg")
    return open_images(str(tmp_path))


def test_resnet50_augmentation(images) -> None:
    settings = load_recipe("resnet50_imagenet")
    config = _create_data_config(settings, nn.Identity(), 224)
    _, transform = create_augmentation(settings, images, config)
    crop = find(transform, RandomResizedCropAndInterpolation)
    assert (crop.size, crop.scale, crop.ratio) == ((224, 224), (0.08, 1.0), (0.75, 4 / 3))
    assert crop.interpolation == transforms.InterpolationMode.BILINEAR
    assert find(transform, transforms.RandomHorizontalFlip).p == 0.5
    assert find(transform, RandAugment) is find(transform, RandomErasing) is None
    assert create_mixup(settings, 128) is None
    assert (settings.smoothing, settings.aug_repeats, settings.color_jitter) == (0, 1, 0)
    evaluation = create_transform(**config, is_training=False)
    assert find(evaluation, transforms.Resize).size == 256
    assert find(evaluation, transforms.CenterCrop).size == (224, 224)


def test_deit_base_augmentation(images) -> None:
    settings = load_recipe("deit_base_imagenet")
    config = _create_data_config(settings, nn.Identity(), 224)
    _, transform = create_augmentation(settings, images, config)
    crop = find(transform, RandomResizedCropAndInterpolation)
    assert (crop.scale, crop.interpolation) == ((0.08, 1.0), transforms.InterpolationMode.BICUBIC)
    policy = find(transform, RandAugment)
    assert (policy.num_layers, {op.magnitude for op in policy.ops}) == (2, {9})
    assert {op.magnitude_std for op in policy.ops} == {0.5}
    erasing = find(transform, RandomErasing)
    assert (erasing.probability, erasing.rand_color, erasing.per_pixel) == (0.25, False, True)
    mixup = create_mixup(settings, 128)
    assert (mixup.mixup_alpha, mixup.cutmix_alpha, mixup.mix_prob, mixup.switch_prob) == (0.8, 1.0, 1.0, 0.5)
    assert (settings.smoothing, settings.aug_repeats, settings.color_jitter) == (0.1, 3, 0.3)
    evaluation = create_transform(**config, is_training=False)
    assert find(evaluation, transforms.Resize).size == 224


@pytest.mark.parametrize(
    ("name", "temperature", "std", "kinds"),
    [
        ("resnet50_imagenet", 0.2, 1024**-0.5, [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]),
        ("deit_base_imagenet", 0.05, 0.02, [nn.Linear, nn.ReLU, nn.Linear]),
    ],
)
def test_objective_and_projector(name: str, temperature: float, std: float, kinds: list[type]) -> None:
    settings = load_recipe(name)
    objective = _create_objective(settings, np.eye(2, dtype=np.float32), torch.device("cpu"))
    assert (objective.name, objective.weight) == ("clip", 0.3)
    assert (objective.temperature, objective.adaptive, objective.related) == (temperature, False, "negative")
    assert settings.centring_or_published == "none"
    projector = create_projector(settings.projector, 256, 1024, settings.projector_norm, settings.projector_std)
    assert [type(part) for part in projector] == kinds
    assert (projector[0].out_features, projector[0].bias is None) == (2048, nn.BatchNorm1d in kinds)
    assert projector[-1].weight.std().item() == pytest.approx(std, rel=0.02)


def test_flags_win_over_the_recipe() -> None:
    settings = load_recipe("deit_base_imagenet", "--batch-size", "64", "--epochs", "2", "--no-projector-norm")
    assert (settings.batch_size, settings.epochs, settings.mixup) == (64, 2, 0.8)


def test_the_strongest_posterize_does_not_fail(images) -> None:
    """timm's keeps 4 - 4 bits at magnitude 10, which Pillow refuses."""
    from PIL import Image

    settings = load_recipe("deit_base_imagenet")
    _, transform = create_augmentation(settings, images, _create_data_config(settings, nn.Identity(), 224))
    (posterize,) = [op for op in find(transform, RandAugment).ops if op.name == "PosterizeIncreasing"]
    posterize.prob, posterize.magnitude, posterize.magnitude_std = 1.0, 10, 0
    levels = set(posterize(Image.linear_gradient("L").convert("RGB")).getdata())
    assert levels == {(0, 0, 0), (128, 128, 128)}


@pytest.mark.parametrize("name", ["small_cnn", "small_vit"])
def test_recipes_for_small_data_can_be_used(name: str) -> None:
    settings = load_recipe(name)
    assert settings.validation_share == 0.1
    create_optimizer(settings, create_network())
