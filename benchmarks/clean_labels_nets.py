"""The trainings of clean_labels.py: all they need lies on the device, so that on a GPU many run side by side."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from clean_labels_arms import Arm
from clean_labels_photos import ATTRIBUTES, Photos
from torch import Tensor, nn

from gpt4image.compare.arms import OFFICIAL
from gpt4image.embed.join import TextIndex
from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.models.embedded import EMBEDDED, find_embedded_weights
from gpt4image.models.tap import count_features
from gpt4image.train.objectives.network import AlignedNetwork
from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.pairs import Shown
from gpt4image.train.objectives.projector import create_projector
from gpt4image.train.optimizer import Schedule, create_optimizer
from gpt4image.train.settings import TrainSettings
from gpt4image.train.targets.source import Targets
from gpt4image.train.targets.tokens import TokenTargets

VIT = {"patch_size": 8, "embed_dim": 128, "depth": 6, "num_heads": 4, "class_token": False, "global_pool": "avg"}
NETS: dict[str, dict[str, Any]] = {
    "cnn": {"lr": 2e-3, "optimizer": "adamw"},
    "wide": {"lr": 2e-3, "optimizer": "adamw"},
    "vit": {"lr": 1e-3, "optimizer": "adamw"},
    "frozen": {"lr": 1e-3, "optimizer": "adamw"},
    "lite0": {"lr": 5e-4, "optimizer": "adamw"},
}
HIDDEN = 256
"""Of the net on frozen features."""


def normalize(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1 if pixels.dtype == torch.uint8 else pixels


def augment(pixels: Tensor) -> Tensor:
    """A random crop of 0.7 of the area or more, flipped in half of the cases; features are left as they are."""
    pixels = normalize(pixels)
    if pixels.ndim == 2:
        return pixels
    count, device = len(pixels), pixels.device
    scale = torch.empty(count, 2, device=device).uniform_(0.7**0.5, 1)
    shift = (1 - scale) * torch.empty(count, 2, device=device).uniform_(-1, 1)
    flip = torch.randint(0, 2, (count,), device=device) * 2 - 1
    zero = torch.zeros(count, device=device)
    rows = [torch.stack([scale[:, 0] * flip, zero, shift[:, 0]], 1), torch.stack([zero, scale[:, 1], shift[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def create_pretrained(num_classes: int) -> nn.Module:
    overlay = {"file": str(find_embedded_weights())}
    return timm.create_model(EMBEDDED, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=num_classes)


def create_net(net: str, num_classes: int, width: int) -> nn.Module:
    if net == "vit":
        return timm.create_model("vit_tiny_patch16_224", num_classes=num_classes, img_size=width, **VIT)
    if net == "frozen":
        layers = [nn.Dropout(0.2), nn.Linear(width, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(HIDDEN, num_classes))
    if net == "lite0":
        return create_pretrained(num_classes)
    channels, stem = ([64, 128, 256, 512], 32) if net == "wide" else ([32, 64, 128, 256], 16)
    return timm.create_model("resnet10t", num_classes=num_classes, channels=channels, stem_width=stem)


@torch.no_grad()
def freeze(photos: dict[str, Photos], device: torch.device) -> dict[str, Photos]:
    """The same photos with the features of the pre-trained net in place of pixels."""
    model = create_pretrained(0).eval().to(device)

    def extract(pixels: Tensor) -> Tensor:
        return torch.cat([model(normalize(part.to(device))) for part in pixels.split(256)])

    return {part: replace(own, pixels=extract(own.pixels)) for part, own in photos.items()}


def embed_texts(photos: Photos, arm: Arm, settings: TrainSettings) -> Tensor:
    """Text targets [K, N, D], of which each step takes one at random; zero rows for photos without a text."""
    kinds = {"both": ("description", "attributes"), "either": ("description", "attributes")}.get(arm.text, (arm.text,))
    if settings.objective == "tokens":
        texts = [[photos.texts[kind][number] for kind in kinds] for number in range(len(photos.labels))]
        tokens = TokenTargets([[text for text in own if text] for own in texts])
        return torch.from_numpy(tokens.gather(np.arange(len(texts))))[None]
    own = [photos.vectors[kind].copy() for kind in kinds]
    if arm.text == "both":
        own = [sum(own) / np.maximum(1, sum(vectors.any(1) for vectors in own))[:, None]]
    for vectors, others in ((own[0], own[-1]), (own[-1], own[0])):
        # A photo that lacks one text has the other.
        missing = ~vectors.any(1)
        vectors[missing] = others[missing]
    return torch.from_numpy(np.stack([centre(vectors, photos, arm, settings) for vectors in own]))


def centre(vectors: np.ndarray, photos: Photos, arm: Arm, settings: TrainSettings) -> np.ndarray:
    """As `train` centres them; and the arm's part of them."""
    has = vectors.any(1)
    index = TextIndex(np.flatnonzero(has), np.cumsum(has) - has, has.astype(np.int64))
    table: Any = SimpleNamespace(vectors=vectors.astype(np.float32))
    text = TextEmbeddings(table, index, settings.centring_or_published).gather(np.arange(len(vectors)))
    if arm.part != "whole":
        for label in np.unique(photos.labels):
            own = has & (photos.labels == label)
            mean = text[own].mean(0)
            text[own] = mean if arm.part == "class" else text[own] - mean
    return text


def aspect_loss(outputs: Tensor, aspects: Tensor, widths: list[int]) -> Tensor:
    """Mean over the attributes that the photos have of the cross-entropy."""
    parts = zip(outputs.float().split(widths, 1), aspects.T, strict=True)
    losses = [F.cross_entropy(own, value, ignore_index=-1, reduction="sum") for own, value in parts]
    return torch.stack(losses).sum() / (aspects >= 0).sum().clamp_min(1)


def oppose(label: Tensor, text: Tensor, features: Tensor) -> Tensor:
    """[B, F], to be added to the text gradient on the features: minus its part against the label gradient, by rows."""
    (g_label,) = torch.autograd.grad(label, features, retain_graph=True)
    (g_text,) = torch.autograd.grad(text, features, retain_graph=True)
    against = (g_text * g_label).sum(1, keepdim=True).clamp_max(0)
    return -against / g_label.square().sum(1, keepdim=True).clamp_min(1e-20) * g_label


class Training:
    """One net with its arm, order of photos, rates and weights, all on the device; `step` reads nothing of the host.

    Losses, projector, optimizer, schedule and treatment of texts are the package's own.
    """

    def __init__(
        self, net: str, arm: Arm, seed: int, photos: Photos, num_classes: int, epochs: int, batch: int, device: str
    ) -> None:
        self.arm, self.device, self._photos = arm, torch.device(device), photos
        recipe = NETS[net] | {"epochs": epochs, "batch_size": batch, "seed": seed}
        self._settings = settings = TrainSettings("", Path(), **(recipe | arm.settings))
        torch.manual_seed(seed)
        width = photos.pixels.shape[-1]
        backbone = create_net(net, num_classes, width)
        self._widths = [int(photos.aspects[:, place].max()) + 1 for place in range(len(ATTRIBUTES))]
        text, projector = torch.zeros(1, len(photos.labels), 0), None
        if settings.objective != "none":
            text = embed_texts(photos, arm, settings)
            if arm.shuffled:
                text = text[:, torch.randperm(text.shape[1], generator=torch.Generator().manual_seed(seed))]
            num_features = HIDDEN if net == "frozen" else count_features(backbone, width)
            dimension = sum(self._widths) if arm.aspects else text.shape[2]
            projector = create_projector(settings.projector, num_features, dimension, std=settings.projector_std)
        self.network = AlignedNetwork(backbone, projector).to(self.device).train()
        self._objective = Objective(
            settings.objective,
            settings.text_weight,
            settings.temperature,
            settings.related,
            adaptive=settings.objective == "textteacher",
            official=arm.settings is OFFICIAL,
        )
        self._optimizer = create_optimizer(settings, self.network)
        labels = torch.from_numpy(photos.labels)
        batches = len(labels) // batch
        self.steps = epochs * batches
        orders = torch.Generator().manual_seed(seed + 1)
        order = torch.cat([torch.randperm(len(labels), generator=orders)[: batches * batch] for _ in range(epochs)])
        self._order = order.view(self.steps, batch).to(self.device)
        self._rates = self._list_rates(batches).to(self.device)
        weights = [arm.find_weights(settings.text_weight, step / self.steps) for step in range(self.steps)]
        self._weights = torch.tensor(weights, device=self.device)
        self._classes = F.one_hot(labels, num_classes).float().to(self.device)
        self._labels, self._aspects = labels.to(self.device), torch.from_numpy(photos.aspects).to(self.device)
        self._text, self._pixels = text.to(self.device), photos.pixels.to(self.device)
        self._has_text = self._text.any(2).all(0)
        self._next = torch.zeros(1, dtype=torch.int64, device=self.device)

    def _list_rates(self, batches: int) -> Tensor:
        """Learning rates [T, G] of the parameter groups; the groups take theirs from tensors where that can be."""
        schedule, rates = Schedule(self._settings, self._optimizer, batches), []
        for step in range(self.steps):
            schedule.set_lr(step)
            rates.append([group["lr"] for group in self._optimizer.param_groups])
        for group in self._optimizer.param_groups:
            group["lr"] = torch.tensor(0.0, device=self.device)
            group["capturable"] = self.device.type == "cuda"
        return torch.tensor(rates)

    def step(self) -> None:
        """One update."""
        own = self._order.index_select(0, self._next)[0]
        rates, weights = self._rates.index_select(0, self._next)[0], self._weights.index_select(0, self._next)[0]
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"].copy_(rate)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits, projected = self.network(augment(self._pixels[own]))
        features = self.network.take_features()
        loss = self._find_loss(own, logits, features, projected, weights[0], weights[1])
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self._settings.clip_grad or 5.0)
        self._optimizer.step()
        self._next += 1

    def _find_loss(
        self,
        own: Tensor,
        logits: Tensor,
        features: Tensor,
        projected: Tensor | None,
        of_labels: Tensor,
        of_text: Tensor,
    ) -> Tensor:
        if self.arm.aspects:
            assert projected is not None
            return F.cross_entropy(logits, self._labels[own]) + aspect_loss(projected, self._aspects[own], self._widths)
        kind = torch.randint(0, len(self._text), (len(own),), device=self.device)
        classes = self._classes[own]
        targets = Targets(classes, self._text[kind, own], self._has_text[own], Shown.whole(own, classes))
        found = replace(self._objective, weight=of_text)(logits, features, projected, targets)  # type: ignore[arg-type]
        if self.arm.course == "first":
            return of_labels * found.label + of_text * found.text
        if self.arm.project:
            return found.total + of_text * (oppose(found.label, found.text, features) * features).sum()
        return found.total

    def capture(self) -> tuple["torch.cuda.CUDAGraph", "torch.cuda.Stream"]:
        """A step as a graph that a GPU replays without the host; what the steps of the trial changed is put back."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        first = {name: value.clone() for name, value in self.network.state_dict().items()}
        with torch.cuda.stream(stream):
            for _ in range(2):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            self.step()
        self.network.load_state_dict(first)
        for state in self._optimizer.state.values():
            for value in state.values():
                value.zero_()
        self._next.zero_()
        return graph, stream


def train_all(trainings: list[Training], seed: int) -> None:
    """Trains all; on a GPU each step of each is one call, and those of different trainings run at the same time."""
    torch.manual_seed(seed)
    if trainings[0].device.type != "cuda":
        for training in trainings:
            for _ in range(training.steps):
                training.step()
    else:
        graphs = [training.capture() for training in trainings]
        torch.cuda.synchronize()
        for number in range(max(training.steps for training in trainings)):
            for training, (graph, stream) in zip(trainings, graphs, strict=True):
                if number < training.steps:
                    with torch.cuda.stream(stream):
                        graph.replay()
        torch.cuda.synchronize()
    for training in trainings:
        training.network.eval()


@torch.no_grad()
def predict(network: AlignedNetwork, pixels: Tensor, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """Logits and features."""
    logits, features = [], []
    for part in pixels.split(512):
        logits.append(network(normalize(part.to(device)))[0].float().cpu())
        features.append(network.take_features().float().cpu())
    return torch.cat(logits).numpy(), torch.cat(features).numpy()
