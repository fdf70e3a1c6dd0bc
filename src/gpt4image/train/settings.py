"""The settings of the train stage."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gpt4image.errors import SettingsError

Objective = Literal["none", "clip", "ctr", "byol", "textteacher"]


@dataclass(frozen=True)
class TrainSettings:
    """Train one image model.

    Attributes:
        images: training images: a folder with one sub-folder a class, a list, or fashion-mnist:1k
        run: folder to write the run to; an interrupted run goes on
        work: work folder with the text embeddings; without it a plain model is trained
        embeddings: name of the table in WORK/embeddings; not needed if there is only one
        prompts: only descriptions of these prompts; all of the table if none is given
        model: timm model name, or import:PACKAGE.MODULE:FUNCTION
        model_kwargs: further arguments of the model, as JSON
        pretrained: start from timm's published weights
        input_size: side of the model's input in pixels
        epochs: passes over the images
        batch_size: images a step, over all processes
        optimizer: timm optimizer name, such as adamw or sgd
        lr: learning rate at the peak of the schedule
        weight_decay: weight decay; none for biases and norms
        momentum: momentum of sgd
        schedule: timm schedule name, such as cosine or step
        warmup_epochs: epochs of linear warm-up
        warmup_lr: learning rate at the start of the warm-up
        min_lr: learning rate at the end of the schedule
        clip_grad: largest norm of the gradient; no limit if not given
        min_scale: smallest share of an image's area that a random crop takes
        hflip: chance of a horizontal flip
        color_jitter: strength of colour jitter
        rand_augment: timm RandAugment policy, such as rand-m9-mstd0.5-inc1
        random_erasing: chance of erasing a rectangle
        mixup: mixup alpha, 0 for none
        cutmix: cutmix alpha, 0 for none
        smoothing: label smoothing
        objective: how image features are aligned with text embeddings
        text_weight: weight of the alignment
        temperature: temperature of the objectives that have one
        projector: from image features to text embeddings
        projector_std: standard deviation of the projector's initial weights
        teacher: finished plain run whose predictions are further targets (self-training, no text)
        reader: let a classifier of the texts correct and complete the labels
        shuffle_texts: control: every image gets another image's description
        keep_labels: share of labels kept, or how many a class if above 1; the other images are only described
        wrong_labels: share of labels replaced by another class
        described: share of images whose descriptions are used
        seed: of weights, data order, augmentation and the choices above
        precision: arithmetic of forward and backward passes
        workers: loader processes; 0 loads in the main process
        device: auto or cpu
        stop_after: stop when this epoch is done (exit status 4); the same command goes on
    """

    images: str
    run: Path
    work: Path | None = None
    embeddings: str | None = None
    prompts: tuple[str, ...] = ()
    model: str = "resnet18"
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    pretrained: bool = False
    input_size: int = 224
    epochs: int = 30
    batch_size: int = 64
    optimizer: str = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.05
    momentum: float = 0.9
    schedule: str = "cosine"
    warmup_epochs: float = 3.0
    warmup_lr: float = 1e-6
    min_lr: float = 1e-6
    clip_grad: float | None = 5.0
    min_scale: float = 0.35
    hflip: float = 0.5
    color_jitter: float = 0.0
    rand_augment: str | None = None
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    smoothing: float = 0.0
    objective: Objective = "clip"
    text_weight: float = 0.3
    temperature: float = 0.2
    projector: Literal["mlp", "linear"] = "linear"
    projector_std: float = 0.02
    teacher: Path | None = None
    reader: bool = True
    shuffle_texts: bool = False
    keep_labels: float = 1.0
    wrong_labels: float = 0.0
    described: float = 1.0
    seed: int = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    workers: int = 0
    device: Literal["auto", "cpu"] = "auto"
    stop_after: int | None = None

    def __post_init__(self) -> None:
        for name, least in {"epochs": 1, "batch_size": 2, "input_size": 8, "workers": 0}.items():
            self._check(name, getattr(self, name) >= least, f"at least {least}")
        for name in ("lr", "temperature"):
            self._check(name, getattr(self, name) > 0, "above 0")
        for name in ("weight_decay", "text_weight", "mixup", "cutmix", "warmup_epochs", "keep_labels"):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        for name in ("smoothing", "hflip", "random_erasing", "wrong_labels", "described"):
            self._check(name, 0 <= getattr(self, name) <= 1, "between 0 and 1")
        self._check("min_scale", 0 < self.min_scale <= 1, "above 0 and at most 1")
        if self.embeddings and not self.work:
            raise SettingsError("--embeddings needs --work, the folder that holds them")

    def _check(self, name: str, allowed: bool, words: str) -> None:
        if not allowed:
            raise SettingsError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be {words}")

    @property
    def uses_text(self) -> bool:
        """Whether text embeddings take part."""
        return self.work is not None and (self.objective != "none" or self.reader)
