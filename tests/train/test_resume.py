"""A run that was interrupted ends like one that was not, bit for bit."""

import subprocess
from collections.abc import Callable

from gpt4image.train import TrainSettings

Tiny = Callable[..., TrainSettings]
Start = Callable[..., subprocess.Popen[str]]

VARIANTS = {
    "plain": {"objective": "none"},
    "clip": {},
    "mixed and erased": {"mixup": 0.8, "cutmix": 1.0, "random_erasing": 0.25, "rand_augment": "rand-m9-mstd0.5-inc1"},
    "textteacher in bf16": {"objective": "textteacher", "text_weight": 0.5, "projector": "linear", "precision": "bf16"},
}
