"""timm's augmentation by name: crops, flips, colours, RandAugment, erasing, and mixing of images."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from PIL import Image
from torch import Tensor

from gpt4image.errors import SettingsError
from gpt4image.images import ImageSet
from gpt4image.train.data.crop import CropReader, Reader, WholeReader
from gpt4image.train.settings import TrainSettings

KEPT_BYTES = 1 << 30
"""Decoded images kept in memory, over all loader processes; larger sets are decoded anew for each crop."""

Transform = Callable[[Image.Image], Tensor]


def create_augmentation(
    settings: TrainSettings, images: ImageSet, data_config: dict[str, Any]
) -> tuple[Reader, Transform]:
    """How an image is read, and what happens to it then.

    Raises:
        SettingsError: timm does not know the RandAugment policy.
    """
    from timm.data import create_transform
    from torchvision.transforms import Compose

    try:
        first, second, last = create_transform(
            input_size=data_config["input_size"],
            is_training=True,
            separate=True,
            scale=(settings.min_scale, 1.0),
            hflip=settings.hflip,
            color_jitter=settings.color_jitter or None,  # type: ignore[arg-type]
            auto_augment=settings.rand_augment,
            interpolation=data_config["interpolation"],
            mean=data_config["mean"],
            std=data_config["std"],
            re_prob=settings.random_erasing,
            re_mode="pixel",
            # timm's name for: leave the pixels bytes, `pixels.normalize` follows. Erasing fills in normalized noise.
            use_prefetcher=not settings.random_erasing,
        )
    except (AssertionError, ValueError, KeyError) as error:
        raise SettingsError(
            f"--rand-augment is {settings.rand_augment!r}; write it like rand-m9-mstd0.5-inc1"
        ) from error
    _keep_one_bit(second)
    crop, *others = first.transforms
    after = [*others, *second.transforms, *last.transforms]
    if (draft := _draft_side(settings, images, data_config["input_size"][-1])) is None:
        return CropReader(crop), Compose(after)
    room_bytes = KEPT_BYTES // max(1, settings.workers or 0)
    return WholeReader((draft, draft), room_bytes), Compose([crop, *after])


def _keep_one_bit(transform: Any) -> None:
    """Lets RandAugment's posterize leave at least one bit: timm's strongest leaves none, which Pillow 12 refuses."""
    for policy in transform.transforms:
        for operation in getattr(policy, "ops", ()):
            if getattr(operation.aug_fn, "__name__", "") == "posterize":
                operation.level_fn = partial(_at_least_one, operation.level_fn)


def _at_least_one(level_fn: Callable[..., tuple[int]], *arguments: Any) -> tuple[int]:
    return (max(1, level_fn(*arguments)[0]),)


def _draft_side(settings: TrainSettings, images: ImageSet, input_size: int) -> int | None:
    """Side at which whole images can be kept; None if there are too many of them to keep.

    It must not depend on the number of workers: a run may go on with another.
    """
    # The smallest crop, at its most oblong, must still be as large as the model's input.
    side = math.ceil(input_size / math.sqrt(0.75 * settings.min_scale))
    # Draft decoding ends between this side and twice of it.
    expected_bytes = len(images) * 3 * (1.5 * side) ** 2
    return side if images.stamp(0) is None or expected_bytes <= KEPT_BYTES else None


def create_mixup(settings: TrainSettings, rows: int) -> Any:
    """timm's Mixup over the numbers of `rows` rows: its "labels" are the weights with which rows are mixed.

    Raises:
        SettingsError: the number of rows is odd.
    """
    if not settings.mixup and not settings.cutmix:
        return None
    from timm.data import Mixup

    if rows % 2:
        raise SettingsError(
            f"--batch-size is {settings.batch_size}, {rows} a process; mixup and cutmix need an even number"
        )
    return Mixup(mixup_alpha=settings.mixup, cutmix_alpha=settings.cutmix, label_smoothing=0.0, num_classes=rows)
