"""timm's optimizers and learning-rate schedules by name."""

from typing import Any

from gpt4image.errors import SettingsError
from gpt4image.train.objectives.network import AlignedNetwork
from gpt4image.train.settings import TrainSettings

FUSED = ("adagrad", "adam", "adamw", "sgd")
"""PyTorch's own optimizers update all parameters in one kernel."""
SCHEDULES = "cosine, tanh, step, multistep or poly"
NO_FUNCTIONS = ("plateau", "none")
"""timm's schedules that are no function of the update: the first waits for a measure."""
DECAYS = (0.3, 0.6, 0.9)
"""Shares of a run after which `step` and `multistep` take a tenth of the learning rate: timm's own epochs (90, 180 and
270), which are meant for 300."""


def create_optimizer(settings: TrainSettings, network: AlignedNetwork) -> Any:
    """The optimizer over all parameters; biases, norms and what the model names in `no_weight_decay` do not decay.

    Raises:
        SettingsError: timm has no such optimizer, or it does not accept the settings.
    """
    from timm.optim import create_optimizer_v2

    extra: dict[str, Any] = {"fused": True} if settings.optimizer in FUSED else {}
    try:
        return create_optimizer_v2(
            _group_parameters(settings, network),
            opt=settings.optimizer,
            lr=scale_lr(settings),
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
            **extra,
        )
    except (ValueError, AssertionError, KeyError, TypeError) as error:
        raise SettingsError(
            f"--optimizer is {settings.optimizer!r} ({error}); timm.optim.list_optimizers() names all"
        ) from error


def _group_parameters(settings: TrainSettings, network: AlignedNetwork) -> list[dict[str, Any]]:
    """Parameter groups; with layer decay, deeper layers of the backbone learn faster, the projector fastest."""
    from timm.optim import param_groups_layer_decay, param_groups_weight_decay

    backbone: Any = network.backbone
    exempt = backbone.no_weight_decay() if hasattr(backbone, "no_weight_decay") else ()
    decay = settings.weight_decay
    if settings.layer_decay is None:
        groups = param_groups_weight_decay(backbone, decay, no_weight_decay_list=exempt)
    else:
        groups = param_groups_layer_decay(backbone, decay, exempt, layer_decay=settings.layer_decay)
    if network.projector is None:
        return groups
    projector: list[dict[str, Any]] = param_groups_weight_decay(network.projector, decay)
    if "muon" in settings.optimizer:
        # Wide matrices that training throws away: orthogonalising them would cost more than the step itself.
        projector = [{**group, "use_fallback": True} for group in projector]
    return groups + projector


def scale_lr(settings: TrainSettings) -> float:
    """The peak learning rate at this run's number of images an update (linear rule, arXiv 1706.02677)."""
    if settings.lr_base_size is None:
        return settings.lr
    return settings.lr * settings.batch_size * settings.grad_accum_steps / settings.lr_base_size


class Schedule:
    """Sets the learning rate as a function of the update alone; nothing of it need be saved.

    Args:
        settings: schedule name, warm-up, ends, and whether the rate moves by update or by epoch.
        optimizer: whose rate is set.
        updates_per_epoch: updates of an epoch.

    Raises:
        SettingsError: timm has no such schedule.
    """

    def __init__(self, settings: TrainSettings, optimizer: Any, updates_per_epoch: int) -> None:
        from timm.scheduler import create_scheduler_v2

        self.updates_per_epoch, self.by_epoch = updates_per_epoch, settings.schedule_unit == "epoch"
        given, epochs = settings.warmup_epochs, settings.epochs
        warmup = epochs / 10 if given is None else min(given, epochs)
        decays: dict[str, Any] = {
            "step": {"decay_epochs": DECAYS[0] * epochs},
            "multistep": {"decay_milestones": [share * epochs for share in DECAYS]},
        }
        try:
            if settings.schedule in NO_FUNCTIONS:
                raise ValueError(settings.schedule)
            self._scheduler, _ = create_scheduler_v2(
                optimizer,
                sched=settings.schedule,
                **decays.get(settings.schedule, {}),
                num_epochs=settings.epochs,
                min_lr=settings.min_lr,
                warmup_lr=settings.warmup_lr,
                warmup_epochs=warmup,  # type: ignore[arg-type]
                step_on_epochs=self.by_epoch,
                updates_per_epoch=updates_per_epoch,
            )
        except ValueError as error:
            raise SettingsError(f"--schedule is {settings.schedule!r}; choose {SCHEDULES}") from error

    def set_lr(self, update: int) -> None:
        """Sets the learning rate for the update with this number, counted from the run's start."""
        if self.by_epoch:
            self._scheduler.step(update // self.updates_per_epoch)
        else:
            self._scheduler.step_update(update)
