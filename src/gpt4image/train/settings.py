"""The settings of the train stage, in groups; `TrainSettings` has all of them."""

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from gpt4image.errors import SettingsError
from gpt4image.train.defaults import ALLOWED, FROM_NOTHING, FROM_WEIGHTS, MIN_TEXTS, NEEDS_NEGATIVES

Objective = Literal["auto", "none", "clip", "ctr", "byol", "textteacher", "tokens"]


@dataclass(frozen=True)
class Data:
    """What to train on.

    Attributes:
        images: training images: a folder with one sub-folder a class, a list, or fashion-mnist:1k
        run: folder to write the run to; an interrupted run goes on
        work: work folder with the text embeddings; without it a plain model is trained
        embeddings: name of the table in WORK/embeddings; not needed if there is only one
        prompts: only descriptions of these prompts; all of the table if none is given
    """

    images: str
    run: Path
    work: Path | None = None
    _: KW_ONLY
    embeddings: str | None = None
    prompts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Model:
    """Model.

    Attributes:
        model: timm model name, or import:PACKAGE.MODULE:FUNCTION
        model_kwargs: further arguments of the model, as JSON
        pretrained: start from timm's published weights
        init_weights: safetensors or PyTorch file with weights to start from; the head may have other classes
        freeze_norm: batch norms keep the mean and variance of the given weights; so where weights are given
        freeze: leave the backbone as it is and fit the head to convergence, in seconds; needs weights to start from
        input_size: side of the model's input in pixels; the model's own if not given
    """

    model: str = "resnet18"
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    pretrained: bool = False
    init_weights: Path | None = None
    freeze_norm: bool = None  # type: ignore[assignment]
    freeze: bool = False
    input_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Length:
    """Length and pace.

    Attributes:
        epochs: passes over the images; 30 from nothing, 10 where weights are given
        batch_size: images a step, over all processes
        grad_accum_steps: steps an update
        validation_share: share of each class set aside; the epoch best on it is saved (without it the last one is)
        ema_decay: average the weights over updates with a decay that rises to this; the average is what is saved
    """

    epochs: int = None  # type: ignore[assignment]
    batch_size: int = 64
    grad_accum_steps: int = 1
    validation_share: float = 0.0
    ema_decay: float | None = None


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Optimizer and schedule.

    Attributes:
        optimizer: timm optimizer name, such as adamw or sgd
        lr: learning rate at the peak of the schedule; 2e-3 from nothing, 5e-4 where weights are given
        lr_base_size: number of images an update that lr is meant for; lr is scaled in proportion
        weight_decay: weight decay; none for biases and norms
        momentum: momentum of sgd
        layer_decay: factor of the learning rate from one layer to the one before
        schedule: timm schedule name, such as cosine or step
        schedule_unit: whether the learning rate moves by update or by epoch
        warmup_epochs: epochs of linear warm-up; a tenth of all if not given
        warmup_lr: learning rate at the start of the warm-up
        min_lr: learning rate at the end of the schedule
        clip_grad: largest norm of the gradient; no limit if not given
    """

    optimizer: str = "adamw"
    lr: float = None  # type: ignore[assignment]
    lr_base_size: int | None = None
    weight_decay: float = 0.05
    momentum: float = 0.9
    layer_decay: float | None = None
    schedule: str = "cosine"
    schedule_unit: Literal["update", "epoch"] = "update"
    warmup_epochs: float | None = None
    warmup_lr: float = 1e-6
    min_lr: float = 1e-6
    clip_grad: float | None = 5.0


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Augmentation and regularization.

    Attributes:
        min_scale: smallest share of an image's area that a random crop takes
        hflip: chance of a horizontal flip
        interpolation: of resizing; the model's own if not given
        crop_pct: share of the image that is kept in evaluation; the model's own if not given
        color_jitter: strength of colour jitter
        rand_augment: timm RandAugment policy, such as rand-m9-mstd0.5-inc1
        random_erasing: chance of erasing a rectangle
        mixup: mixup alpha, 0 for none
        cutmix: cutmix alpha, 0 for none
        aug_repeats: copies of an image in a batch, each augmented by itself
        smoothing: label smoothing
    """

    min_scale: float = 0.35
    hflip: float = 0.5
    interpolation: str | None = None
    crop_pct: float | None = None
    color_jitter: float = 0.0
    rand_augment: str | None = None
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    aug_repeats: int = 1
    smoothing: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Alignment of images with texts.

    Attributes:
        objective: how image features are aligned with text embeddings; auto: clip from nothing, none from given weights
        compat: gpt4image repeats the official code's gather, negatives and unmixed texts
        text_weight: weight of the alignment
        temperature: temperature of the objectives that have one
        related: what pairs with other images of the same class count as
        centring: of the text embeddings; as the objective was published if not given
        projector: from image features to text embeddings
        projector_norm: batch norm in the mlp, as in the official ResNet recipe; without it as for DeiT
        projector_std: standard deviation of the projector's initial weights
    """

    objective: Objective = "auto"
    compat: Literal["none", "gpt4image"] = "none"
    text_weight: float = 0.3
    temperature: float = 0.2
    related: Literal["negative", "excluded", "positive"] = "negative"
    centring: Literal["none", "mean", "whiten"] | None = None
    projector: Literal["mlp", "linear"] = "linear"
    projector_norm: bool = True
    projector_std: float = 0.02


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels.

    Attributes:
        labels: name of weighed labels in WORK/labels (gpt4image label); without it given labels are learnt as they are
        targets: what of them is learnt: all that is known; or, to compare, given labels, picks, or the set's own
        distillation: share of the LLM's own opinion, its calibrated picks, in what is learnt; 0.3 from given weights
        teacher: finished plain run whose predictions are further targets (self-training, no text)
        balance: let rare classes count as much as frequent ones: by weights, by drawing, or by logit adjustment
        label_loss: cross-entropy, or gce (arXiv 1805.07836), which learns less of labels that look wrong
    """

    labels: str | None = None
    targets: Literal["weighed", "given", "picks", "true"] = "weighed"
    distillation: float = None  # type: ignore[assignment]
    teacher: Path | None = None
    balance: Literal["none", "loss", "sampler", "prior"] = "none"
    label_loss: Literal["cross_entropy", "gce"] = "cross_entropy"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Experiments: texts that are hidden or exchanged.

    Attributes:
        shuffle_texts: control: every image gets another image's description
        text_source: what an image's text is: its descriptions, or, as a control, the name of its class
        described: share of images whose descriptions are used
    """

    shuffle_texts: bool = False
    text_source: Literal["descriptions", "label"] = "descriptions"
    described: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Run and machine.

    Attributes:
        seed: of weights, data order, augmentation and the choices above
        precision: arithmetic of forward and backward passes; auto is bf16 on cards that have it, else fp32
        compile: compile the network with torch.compile, which takes minutes; on a CPU steps of a ViT then took 3 to 6 %
            less time, those of a CNN 2 to 9 % more; not measured on a GPU
        sync_norm: batch norms, the projector's included, see the batch of all GPUs together
        deterministic: only kernels that give the same bits each time, so that a resumed run ends alike on a GPU, too
        workers: loader processes; 8 at most on a GPU and none on a CPU if not given
        tracker: also log to this; tensorboard writes into the run's folder
        device: auto, cpu, cuda, cuda:N or mps
        stop_after: stop when this epoch is done (exit status 4); the same command goes on
    """

    seed: int = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    compile: bool = False
    sync_norm: bool = False
    deterministic: bool = False
    workers: int | None = None
    tracker: Literal["none", "tensorboard", "wandb", "mlflow"] = "none"
    device: str = "auto"
    stop_after: int | None = None


# Dataclasses take their fields from the last base first, which is the order of the groups above.
@dataclass(frozen=True)
class TrainSettings(Machine, Experiment, Labels, Alignment, Augmentation, Optimizer, Length, Model, Data):
    """Train one image model."""

    COMMON: ClassVar[tuple[str, ...]] = (
        "work", "labels", "model", "pretrained", "freeze", "input_size", "epochs", "batch_size", "validation_share",
        "lr", "objective", "seed", "workers",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.labels is None or self.targets != "weighed":
            if self.distillation:
                raise SettingsError(
                    f"--distillation {self.distillation} is learnt beside weighed labels; add --labels NAME "
                    "(gpt4image label), with --targets weighed, or leave it out"
                )
            object.__setattr__(self, "distillation", 0.0)
        for name, value in (FROM_WEIGHTS if self.starts_from_weights else FROM_NOTHING).items():
            if getattr(self, name) in (None, "auto"):
                object.__setattr__(self, name, value)
        for names, is_allowed, words in ALLOWED:
            for name in names.split():
                self._check(name, getattr(self, name) is None or is_allowed(getattr(self, name)), words)
        if self.objective == "textteacher":
            self._check("text_weight", self.text_weight <= 1, "at most 1 with textteacher")
        if self.labels is None and self.targets in ("picks", "true"):
            raise SettingsError(
                f"--targets {self.targets} stand in weighed labels; add --labels NAME (gpt4image label)"
            )
        for name in ("embeddings", "labels"):
            if getattr(self, name) and not self.work:
                raise SettingsError(f"--{name} needs --work, the folder that holds them")
        if self.uses_text and self.objective in NEEDS_NEGATIVES and self.batch_size < MIN_TEXTS:
            raise SettingsError(
                f"--batch-size is {self.batch_size}; {self.objective} compares each image with the texts of the others "
                f"and needs {MIN_TEXTS} at least: enlarge it, or choose byol or tokens"
            )
        if self.freeze:
            self._check_freeze()

    def _check_freeze(self) -> None:
        if not self.starts_from_weights:
            raise SettingsError("--freeze needs weights to start from: --pretrained or --init-weights FILE")
        if self.objective != "none":
            raise SettingsError(f"--objective {self.objective} trains the backbone; --freeze leaves it as it is")
        if self.balance == "sampler" or self.model.startswith("import:"):
            raise SettingsError("--freeze takes timm models, and --balance none, loss or prior")

    @property
    def starts_from_weights(self) -> bool:
        """Whether weights are given."""
        return self.pretrained or self.init_weights is not None

    def _check(self, name: str, allowed: bool, words: str) -> None:
        if not allowed:
            raise SettingsError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be {words}")

    @property
    def centring_or_published(self) -> str:
        """How text embeddings are centred: TextTeacher's are, the others' are not (unless `centring` says so)."""
        return self.centring or ("mean" if self.objective == "textteacher" else "none")

    @property
    def uses_text(self) -> bool:
        """Whether texts take part."""
        return self.work is not None and self.objective != "none"
