"""Texts in a training loop of your own: a table of text embeddings, a projector, a loss. The whole of it::

    table = DescriptionTable("work")
    network = AlignedNetwork(model, Projector(num_features, table.dimension))
    align = AlignmentLoss()
    for pixels, labels, keys in loader:
        logits, projected = network(pixels)
        loss = cross_entropy(logits, labels) + align(projected, table.gather(keys))

They are the parts that `gpt4image train` is made of; `AlignedNetwork`, `FeatureTap` and `count_features` are its own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gpt4image.embed.table import EmbeddingTable, find_table
from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.errors import DescriptionError, SettingsError
from gpt4image.models.tap import FeatureTap, count_features
from gpt4image.train.objectives.gather import count_processes
from gpt4image.train.objectives.network import AlignedNetwork
from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.pairs import Related, Shown
from gpt4image.train.objectives.projector import create_projector
from gpt4image.train.targets.source import Targets, to_device

__all__ = ["AlignedNetwork", "AlignmentLoss", "DescriptionTable", "FeatureTap", "Projector", "count_features"]

OBJECTIVES = ("clip", "ctr", "byol", "textteacher")
"""Objectives on text embeddings. `tokens` works on words and needs `gpt4image train`."""


class DescriptionTable:
    """The text embeddings of a work folder by image.

    An image is named by its key (its path below the image folder, such as `cat/1.jpg`) or by its digest (SHA-256 of the
    file's bytes as 64 hex digits). Names are held in memory, vectors stay in a memory map, which loader processes
    open anew instead of copying it.

    Args:
        work: work folder of `gpt4image embed`.
        embeddings: name of the table; not needed if there is only one.
        prompts: only descriptions of these prompts; of all if empty.
        centring: `none`, `mean` or `whiten`; see `gpt4image.embed.text_embeddings.TextEmbeddings`.

    Raises:
        DescriptionError: there is no such table, or it has no descriptions of a prompt.
    """

    def __init__(
        self, work: str | Path, embeddings: str | None = None, prompts: Sequence[str] = (), centring: str = "none"
    ) -> None:
        self._arguments = (work, embeddings, prompts, centring)
        table = EmbeddingTable.open(find_table(Path(work), embeddings))
        digests, keys = (table.rows[column].to_pylist() for column in ("digest", "key"))
        self._number = {digest: number for number, digest in enumerate(dict.fromkeys(digests))}
        self._by_key = dict(zip(keys, digests, strict=True))
        pairs = set(zip(keys, digests, strict=True))
        self._ambiguous = {key for key, digest in pairs if self._by_key[key] != digest}
        self._embeddings = TextEmbeddings(table, table.join(list(self._number), prompts), centring)

    @property
    def dimension(self) -> int:
        """Width D of the text embeddings."""
        return self._embeddings.dimension

    def __reduce__(self) -> tuple[Any, ...]:
        return DescriptionTable, self._arguments

    def __contains__(self, name: str) -> bool:
        """Whether the image has a description."""
        number = self._find(name)
        return number is not None and bool(self._embeddings.has_text()[number])

    def __getitem__(self, name: str) -> Float[Tensor, "D"]:
        """Text embedding of one image; zero if it has no description."""
        return self.gather([name])[0]

    def gather(self, names: Sequence[str]) -> Float[Tensor, "B D"]:
        """Text embeddings of a batch, float32: the mean of several; zero rows for images without a description.

        Raises:
            DescriptionError: a key belongs to two different images, because a file was replaced after it was described.
        """
        numbers = [self._find(name) for name in names]
        known = [place for place, number in enumerate(numbers) if number is not None]
        text = np.zeros((len(numbers), self.dimension), dtype=np.float32)
        text[known] = self._embeddings.gather(np.array([numbers[place] for place in known], dtype=np.int64))
        return torch.from_numpy(text)

    def _find(self, name: str) -> int | None:
        if name in self._ambiguous:
            raise DescriptionError(f"two different images were described under the key {name!r}; name it by its digest")
        return self._number.get(self._by_key.get(name, name))


class Projector(nn.Sequential):
    """From image features [B, F] to the width of text embeddings [B, D]; thrown away after training.

    Args:
        num_features: width F of the image features; `count_features` finds it for any classifier.
        dimension: width D, see `DescriptionTable.dimension`.
        kind: `linear` or `mlp`, see `gpt4image.train.objectives.projector.create_projector`.
    """

    def __init__(self, num_features: int, dimension: int, kind: str = "linear") -> None:
        super().__init__(*create_projector(kind, num_features, dimension))


class AlignmentLoss(nn.Module):
    """The weighted alignment of projected image features with text embeddings, to be added to your own loss.

    In a process group it compares the rows of all processes; the gradient, averaged over processes as DDP does, is that
    of one process with all rows. Therefore every process must call it in every step, and the projector must be part of
    the module that DDP wraps, as it is in `AlignedNetwork`.

    Deviation: `textteacher` has a fixed weight here. Its published form balances the gradients of both losses;
    `gpt4image train`, which sees both, does that.

    Args:
        objective: `clip`, `ctr`, `byol` or `textteacher`; see `gpt4image.train.objectives.losses`.
        weight: lambda.
        temperature: tau of `clip` and `ctr`.
        related: what pairs of different images of the same class count as: `negative`, `excluded` or `positive`.
        num_classes: number of classes C; needed unless they are negative.

    Raises:
        SettingsError: a value is not allowed.
    """

    def __init__(
        self,
        objective: str = "clip",
        weight: float = 0.3,
        temperature: float = 0.2,
        related: str = "negative",
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        _check("objective", objective, OBJECTIVES)
        _check("related", related, get_args(Related))
        if temperature <= 0 or weight < 0:
            raise SettingsError(f"temperature is {temperature}, weight {weight}; they must be above 0, and 0 or more")
        if related != "negative" and num_classes is None:
            raise SettingsError(f"related is {related!r}; tell num_classes, or leave it at negative")
        self._objective = Objective(objective, weight, temperature, cast(Related, related))
        self._num_classes = None if related == "negative" else num_classes

    def forward(
        self,
        projected: Float[Tensor, "B D"],
        text: Float[Tensor, "B D"],
        labels: Int[Tensor, "B"] | None = None,
        images: Int[Tensor, "B"] | None = None,
        weights: Float[Tensor, "B B"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss; zero, with a gradient of zero, where fewer than two images have a text.

        Args:
            projected: what the projector makes of the image features.
            text: of `DescriptionTable.gather`, on any device; zero rows take no part.
            labels: class of each image, -1 if unknown; only where `related` is not negative.
            images: a number for each image; equal ones are copies (repeated augmentation) and no negatives of each
                other. Without it all images are different.
            weights: with which mixup or cutmix mixed the rows of pixels, two in each; text is mixed by them here.

        Raises:
            SettingsError: labels are needed and not given.
        """
        text = to_device(text, projected.device)
        if images is None:
            rank = torch.distributed.get_rank() if count_processes() > 1 else 0
            images = torch.arange(len(text), device=text.device) + (rank << 32)
        classes = self._to_classes(labels, text)
        targets = Targets(classes, text, text.any(1), Shown.whole(to_device(images, text.device), classes))
        targets = targets if weights is None else targets.mix(to_device(weights, text.device).to(text.dtype))
        return self._objective.weight * self._objective.compute_text_loss(projected, targets)[0]

    def _to_classes(self, labels: Tensor | None, text: Tensor) -> Tensor:
        """Class probabilities [B, C]; zero where the class is unknown or does not matter."""
        if self._num_classes is None:
            return text.new_zeros(len(text), 1)
        if labels is None:
            raise SettingsError(f"related is {self._objective.related!r}, but no labels were given; pass labels")
        labels = to_device(labels, text.device)
        known = labels >= 0
        one_hot = nn.functional.one_hot(labels.clamp_min(0), self._num_classes)
        return (one_hot * known[:, None]).to(text)


def _check(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise SettingsError(f"{name} is {value!r}; choose from {', '.join(allowed)}")
