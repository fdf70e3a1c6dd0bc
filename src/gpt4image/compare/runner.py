"""Weighs labels, trains and evaluates the runs of a comparison, several at once in processes of their own."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.errors import RunError
from gpt4image.label import LabelSettings, label
from gpt4image.stopping import begin_worker, end_children
from gpt4image.train.settings import TrainSettings


@dataclass(frozen=True)
class Job:
    """One run: an arm in a situation with a seed.

    Attributes:
        situation: index of the situation.
        arm: its name.
        settings: of the train stage.
        test_images: what the model is measured on.
        corruptions: whether it is also measured on corrupted test images.
        after: run folder that must be finished before, if any.
        twin: run folder of another situation in which the same is learnt; this run becomes a link to it.
        retrieval_images: described images in which texts look for theirs, or empty.
    """

    situation: int
    arm: str
    settings: TrainSettings
    test_images: str
    after: Path | None = None
    twin: Path | None = None
    corruptions: bool = False
    retrieval_images: str = ""

    @property
    def label(self) -> str:
        """For the progress bar."""
        return f"{self.settings.run.parent.name}/{self.settings.run.name}"


@contextmanager
def start_pool(num_processes: int) -> Iterator[ProcessPoolExecutor | None]:
    """Processes that work at once, begun when they are needed; None if it is one alone, which is this one.

    They end with the block, at once but for one thing: after an error, what the others are at is finished first.
    """
    if num_processes == 1:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    prepared = max(1, (os.cpu_count() or 1) // num_processes), os.getpid()
    with ProcessPoolExecutor(num_processes, context, initializer=begin_worker, initargs=prepared) as pool:
        try:
            yield pool
        except Exception:
            raise
        except BaseException:
            end_children()
            raise
        # A worker that ends by itself takes seconds to take PyTorch apart, and heeds nobody meanwhile.
        end_children()


def run_jobs(jobs: Sequence[Job], pool: ProcessPoolExecutor | None, num_processes: int) -> Iterator[Job]:
    """Runs jobs and yields each when it is done; a run that is finished already is not trained again.

    Args:
        jobs: a job that waits for another comes after it; one that waits for a run that is none of the jobs is ready.
        pool: see `start_pool`.
        num_processes: how many train at once.

    Raises:
        RunError: a training process was killed. Errors of a run are raised as they are.
    """
    if pool is not None:
        yield from _run_at_once(jobs, num_processes, pool)
        return
    for job in jobs:
        run_job(job)
        yield job


def weigh_labels(wanted: Sequence[LabelSettings], pool: ProcessPoolExecutor | None) -> Iterator[LabelSettings]:
    """Weighs labels and yields what is done; the first alone, as the others find the features that it computes.

    Raises:
        RunError: a process was killed. Errors of the label stage are raised as they are.
    """
    alone = len(wanted) if pool is None else 1
    for settings in wanted[:alone]:
        label(settings)
        yield settings
    if pool is not None:
        try:
            for settings, _ in zip(wanted[1:], pool.map(label, wanted[1:]), strict=True):
                yield settings
        except BrokenProcessPool as error:
            raise RunError("a process that weighed labels was killed; run the same again") from error


def _run_at_once(jobs: Sequence[Job], num_processes: int, pool: ProcessPoolExecutor) -> Iterator[Job]:
    waiting, running = list(jobs), dict[Future[None], Job]()
    unfinished = {job.settings.run for job in jobs}
    while waiting or running:
        for job in [job for job in waiting if job.after not in unfinished]:
            if len(running) == num_processes:
                break
            waiting.remove(job)
            running[pool.submit(run_job, job)] = job
        assert running, "a job waits for one that stands after it"
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            job = running.pop(future)
            try:
                future.result()
            except BrokenProcessPool as error:
                raise RunError(f"the process that trained {job.label} was killed; run the same again") from error
            unfinished.remove(job.settings.run)
            yield job


def compute_shared_features(jobs: Sequence[Job]) -> None:
    """Computes what frozen runs look up, on all cores, before each process would begin to for itself."""
    from gpt4image.images import open_images, scan_images
    from gpt4image.models.frozen import find_frozen
    from gpt4image.models.image_features import load_image_features

    frozen = [job for job in jobs if job.settings.freeze]
    backbones = {
        repr((one.model, one.input_size, one.init_weights, one.model_kwargs)): one
        for one in (job.settings for job in frozen)
    }
    for settings in backbones.values():
        backbone = find_frozen(settings.model, settings.input_size, settings.init_weights, settings.model_kwargs)
        for source in dict.fromkeys(source for job in frozen for source in (job.settings.images, job.test_images)):
            images = open_images(source)
            scan = scan_images(images)
            readable = np.flatnonzero(scan.readable)
            digests = [scan.digests[place] for place in readable]
            load_image_features(images.subset(readable), digests, backbone, settings.device, settings.workers)


def run_job(job: Job) -> None:
    """Trains and evaluates one run, or links to the one that is the same."""
    if job.twin is not None:
        link_run(job.settings.run, job.twin)
        return
    from gpt4image.evaluate import EvaluateSettings, evaluate
    from gpt4image.models.machine import choose_device, count_workers
    from gpt4image.train import train

    train(job.settings)
    workers = count_workers(job.settings.workers, choose_device(job.settings.device))
    how: dict[str, Any] = {"workers": workers, "device": job.settings.device, "corruptions": job.corruptions}
    # The report looks inside the models of the first seed; features of frozen ones are known already.
    how["features"] = job.settings.seed == 0 and not job.settings.freeze
    evaluate(EvaluateSettings(run=job.settings.run, images=job.test_images, **how))
    if job.retrieval_images:
        _measure_retrieval(job)


def link_run(run: Path, twin: Path) -> None:
    """Makes `run` a link to `twin` beside it, so that the folder of both can be moved."""
    run.parent.mkdir(parents=True, exist_ok=True)
    run.unlink(missing_ok=True)
    run.symlink_to(os.path.relpath(twin, run.parent), target_is_directory=True)


def _measure_retrieval(job: Job) -> None:
    from gpt4image.embed.table import EmbeddingTable, find_table
    from gpt4image.evaluate.retrieval import has_text_projector, measure_retrieval
    from gpt4image.images import open_images, scan_images

    settings = job.settings
    if not has_text_projector(settings.run):
        return
    images = open_images(job.retrieval_images)
    scan = scan_images(images)
    readable = np.flatnonzero(scan.readable)
    digests = [scan.digests[place] for place in readable]
    assert settings.work is not None
    table = EmbeddingTable.open(find_table(settings.work, settings.embeddings))
    images, prompts = images.subset(readable), settings.prompts
    measure_retrieval(settings.run, images, digests, table, prompts, device=settings.device)
