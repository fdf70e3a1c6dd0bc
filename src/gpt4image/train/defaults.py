"""What the train stage takes where the user does not say, and what each setting may be."""

from collections.abc import Callable
from typing import Any

NEEDS_NEGATIVES, MIN_TEXTS = ("clip", "ctr", "textteacher"), 8
"""Objectives that compare the images and texts of a batch with each other, and how many those must be."""
FROM_NOTHING: dict[str, Any] = {
    "epochs": 30,
    "lr": 2e-3,
    "objective": "clip",
    "freeze_norm": False,
    "distillation": 0.0,
}
FROM_WEIGHTS: dict[str, Any] = {
    "epochs": 10,
    "lr": 5e-4,
    "objective": "none",
    "freeze_norm": True,
    "distillation": 0.3,
}
"""What is taken where the user does not say, if weights to start from are given (docs/experiments.md) and if not."""
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
ALLOWED: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("epochs grad_accum_steps aug_repeats stop_after", lambda value: value >= 1, "at least 1"),
    ("batch_size", lambda value: value >= 2, "at least 2"),
    ("input_size", lambda value: value >= 8, "at least 8"),
    ("lr temperature lr_base_size layer_decay crop_pct", lambda value: value > 0, "above 0"),
    ("weight_decay text_weight mixup cutmix warmup_epochs workers seed", lambda value: value >= 0, "0 or more"),
    ("smoothing hflip random_erasing described distillation", lambda value: 0 <= value <= 1, "between 0 and 1"),
    ("min_scale", lambda value: 0 < value <= 1, "above 0 and at most 1"),
    ("validation_share", lambda value: 0 <= value <= 0.5, "between 0 and 0.5"),
    ("interpolation", lambda value: value in INTERPOLATIONS, f"one of {', '.join(INTERPOLATIONS)}"),
    ("ema_decay", lambda value: 0 <= value < 1, "at least 0 and below 1"),
)
"""Settings, what they must be if they are given, and that in words."""
