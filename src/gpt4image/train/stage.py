"""The train stage: images, labels and text embeddings in, a plain timm model out."""

import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt4image.results import ExitStatus, StageResult
from gpt4image.train.settings import TrainSettings


@dataclass(frozen=True)
class TrainResult(StageResult):
    """What training did.

    Attributes:
        run: the run's folder.
        num_images: images trained on.
        num_labelled: of them with a label.
        num_described: of them with a description.
        num_unreadable: images left out because they cannot be decoded.
        epochs: epochs done so far.
        loss: mean loss of the last epoch.
        seconds: of this call.
        finished: whether all epochs are done.
        redone: False if the run was finished before this call.
        frozen: whether only the head was fitted.
    """

    run: Path
    num_images: int
    num_labelled: int
    num_described: int
    num_unreadable: int
    epochs: int
    loss: float
    seconds: float
    finished: bool = True
    redone: bool = True
    frozen: bool = False

    @property
    def exit_status(self) -> ExitStatus:
        if not self.finished:
            return ExitStatus.STOPPED
        return ExitStatus.PARTLY if self.num_unreadable else ExitStatus.DONE

    def lines(self) -> Iterator[str]:
        texts = f", {self.num_described} with a description" if self.num_described else ""
        yield f"{self.num_images} images, {self.num_labelled} with a label{texts}"
        if self.num_unreadable:
            yield f"{self.num_unreadable} images cannot be decoded and were left out; see {self.run / 'manifest.json'}"
        if not self.redone:
            yield f"{self.run} is finished already; nothing was done"
        elif self.finished and self.frozen:
            yield f"head on frozen features, loss {self.loss:.3f}, in {self.run} ({self.seconds:.0f} s)"
        elif self.finished:
            yield f"model after {self.epochs} epochs, loss {self.loss:.3f}, in {self.run} ({self.seconds:.0f} s)"
        else:
            yield f"stopped after epoch {self.epochs}; the same command goes on"


def train(settings: TrainSettings) -> TrainResult:
    """Trains one model; goes on from the last checkpoint if the run was interrupted.

    Raises:
        ImageSetError: the images cannot be used.
        DescriptionError: the text embeddings are missing or are of other images.
        ModelError: there is no such model, or it has no pooled features.
        RunError: the folder holds a run with other settings.
    """
    from gpt4image.models.trust import allow_import
    from gpt4image.runs import TRAINED_ON, save_trained_on
    from gpt4image.train.data.inputs import load_inputs
    from gpt4image.train.loop import fit
    from gpt4image.train.processes import create_accelerator, first_process_first, resolve_machine
    from gpt4image.train.run_folder import claim_run, is_finished, only_trainer
    from gpt4image.train.setup import create_setup

    allow_import(settings.model)
    start_s = time.monotonic()
    settings = resolve_machine(settings)
    accelerator = create_accelerator(settings)
    inputs = first_process_first(accelerator, lambda: load_inputs(settings))
    content = inputs.content()
    # Only the first process writes into the run's folder.
    first_process_first(accelerator, lambda: claim_run(settings, content) if accelerator.is_main_process else None)
    redone = not is_finished(settings.run)
    if accelerator.is_main_process and not (settings.run / TRAINED_ON).exists():
        # A finished run in a folder that cannot be written stays as it is.
        with nullcontext() if redone else suppress(OSError):
            save_trained_on(settings.run, [*inputs.digests, *inputs.validation_digests])
    epochs, loss = settings.epochs, 0.0
    if redone:
        with only_trainer(settings.run) if accelerator.is_main_process else nullcontext():
            if settings.freeze:
                loss = first_process_first(accelerator, lambda: _fit_frozen(settings, inputs, accelerator))
            else:
                epochs, loss = fit(settings, inputs, create_setup(settings, inputs, accelerator))
    return TrainResult(
        run=settings.run,
        num_images=len(inputs.images),
        num_labelled=inputs.num_labelled,
        num_described=inputs.num_described,
        num_unreadable=len(inputs.unreadable),
        epochs=epochs,
        loss=loss,
        seconds=time.monotonic() - start_s,
        finished=epochs == settings.epochs,
        redone=redone,
        frozen=settings.freeze,
    )


def _fit_frozen(settings: TrainSettings, inputs: Any, accelerator: Any) -> float:
    """The first process fits; there is nothing to share."""
    from gpt4image.train.frozen.fit import fit_frozen

    return fit_frozen(settings, inputs) if accelerator.is_main_process else 0.0
