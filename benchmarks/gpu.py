"""What does gpt4image do on a GPU? Under eight minutes on one card, nothing is downloaded.

    python benchmarks/gpu.py [--device cuda] [--small] [--only train embed ...]

train     images a second of timm's own way of training (its model, optimizer, clipping, autocast, the same batch), of
          our plain step and of aligned ones, in turns; memory at the peak; how often a step waits for the card; the
          ratios are what to compare
fp16      the same for ResNet-50 with float16 and a scaler of gradients
resume    is a run that was stopped and went on the same, bit for bit, with --deterministic?
embed     texts a second beside SentenceTransformer.encode of the same model
features  frozen features, from JPEGs to vectors on disk, beside timm's forward passes of the same pixels
label     seconds to weigh labels, picks, texts and features at 1,000 classes (a processor's work)

`--small` asks the same of tiny models, so that a processor answers within a minute; its figures mean nothing.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import timm
import torch
from embed_throughput import read_texts
from freeze import make_photos
from PIL import Image
from timm.optim import create_optimizer_v2
from timm.utils import dispatch_clip_grad

from gpt4image import progress
from gpt4image.embed.encoders.load import load_encoder
from gpt4image.embed.table import save_table
from gpt4image.images import open_images, scan_images
from gpt4image.label.weigh import Evidence, Picks, Vectors, weigh
from gpt4image.models.frozen import find_frozen
from gpt4image.models.image_features import load_image_features
from gpt4image.models.machine import choose_device, count_workers
from gpt4image.models.pixels import EvaluationBatches
from gpt4image.runs import WEIGHTS
from gpt4image.train import TrainSettings, train
from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.loop import update_weights
from gpt4image.train.processes import choose_kernels, create_accelerator
from gpt4image.train.setup import create_setup
from gpt4image.train.step import train_step

ALIGNED: dict[str, dict[str, Any]] = {
    "aligned, default (linear, 384-d)": {"embeddings": "384"},
    "aligned, official (mlp, 1024-d)": {"embeddings": "1024", "projector": "mlp"},
}
FROZEN = "tf_efficientnet_lite0"
Step = Callable[[], object]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    models: tuple[str, ...] = ("resnet50", "deit_small_patch16_224")
    side: int = 224
    batch: int = 256
    classes: int = 1000
    steps: int = 10
    rounds: int = 6
    texts: int = 3000
    photos: int = 4000
    weighed: int = 20_000
    precision: str = "bf16"


SMALL = Sizes(("resnet10t", "deit_tiny_patch16_224"), 32, 8, 10, 1, 2, 16, 24, 300, "fp32")


def make_data(folder: Path, sizes: Sizes) -> None:
    """Two small pictures a class, and two tables of random texts."""
    rng = np.random.default_rng(0)
    for number in range(2 * sizes.classes):
        path = folder / "photos" / f"class{number % sizes.classes:04d}" / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    digests = scan_images(open_images(str(folder / "photos")), folder / "scan.sqlite").digests
    columns = pa.table({"digest": digests, "text_hash": digests})
    for width in (384, 1024):
        vectors = rng.normal(size=(len(digests), width))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        save_table(folder / "work" / "embeddings" / str(width), vectors, columns, {"encoder": "random"})


def make_settings(folder: Path, sizes: Sizes, device: torch.device, model: str) -> TrainSettings:
    """Of a plain run."""
    how = {"input_size": sizes.side, "batch_size": sizes.batch, "precision": sizes.precision, "device": str(device)}
    return TrainSettings(str(folder / "photos"), folder / "run", model=model, objective="none", **how)


def make_batch(sizes: Sizes, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Bytes and positions of images as a loader hands them over: in pinned memory if there is a GPU."""
    pixels = torch.randint(0, 256, (sizes.batch, 3, sizes.side, sizes.side), dtype=torch.uint8)
    images = torch.arange(sizes.batch) % (2 * sizes.classes)
    return (pixels.pin_memory(), images.pin_memory()) if device.type == "cuda" else (pixels, images)


def timm_step(settings: TrainSettings, pixels: torch.Tensor, labels: torch.Tensor, sizes: Sizes) -> Step:
    """A step of training as timm's script and its prefetcher take it."""
    device = torch.device(settings.device)
    kwargs = {"img_size": sizes.side} if "deit" in settings.model else {}
    model = timm.create_model(settings.model, num_classes=sizes.classes, **kwargs)
    model.to(device=device, memory_format=torch.channels_last).train()
    optimizer = create_optimizer_v2(model, opt=settings.optimizer, lr=settings.lr, weight_decay=settings.weight_decay)
    mean, std = (
        torch.tensor(model.default_cfg[name], device=device).mul(255).view(1, 3, 1, 1) for name in ("mean", "std")
    )
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16}
    lower = settings.precision in dtypes
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")

    def step() -> None:
        inputs = pixels.to(device, non_blocking=True).float().sub_(mean).div_(std)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        targets = labels.to(device, non_blocking=True)
        with torch.autocast(device.type, dtypes[settings.precision]) if lower else nullcontext():
            loss = torch.nn.functional.cross_entropy(model(inputs), targets)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        dispatch_clip_grad(model.parameters(), settings.clip_grad)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    return step


def our_step(settings: TrainSettings, pixels: torch.Tensor, images: torch.Tensor) -> Step:
    """A step of ours; its result holds the loss."""
    setup = create_setup(settings, load_inputs(settings), create_accelerator(settings))
    setup.network.train()

    def step() -> dict[str, torch.Tensor]:
        measures = train_step(settings, setup, pixels, images)
        update_weights(settings, setup, 1)
        return measures

    return step


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


def seconds_of(step: Step, times: int, device: torch.device) -> float:
    """Seconds of a call, of several in a row."""
    synchronize(device)
    start_s = time.perf_counter()
    for _ in range(times):
        step()
    synchronize(device)
    return (time.perf_counter() - start_s) / times


def count_waits(step: Step, device: torch.device) -> int | None:
    """How often the processor waits for the card in a step, by PyTorch's own warnings; None without a GPU."""
    if device.type != "cuda":
        return None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing" in str(one.message) for one in said)


def warm_up(create: Callable[[], Step], device: torch.device) -> tuple[Step, float]:
    """The step, and the memory at its peak in GB, the model's own included (0 on a processor)."""
    before = torch.cuda.memory_allocated() if device.type == "cuda" else 0
    step = create()
    seconds_of(step, 3, device)
    if device.type != "cuda":
        return step, 0.0
    torch.cuda.reset_peak_memory_stats()
    seconds_of(step, 1, device)
    return step, (torch.cuda.max_memory_allocated() - before) / 1e9


def compare_steps(
    ways: dict[str, Callable[[], Step]], sizes: Sizes, device: torch.device, most_waits: int = 0
) -> dict[str, Step]:
    """Times all ways in turns, each round in the other order, and prints them beside the first.

    Raises:
        AssertionError: a step of ours waits for the card more often than that.
    """
    warm = {name: warm_up(create, device) for name, create in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(sizes.rounds):
        for name in list(ways) if number % 2 else reversed(list(ways)):
            times[name].append(seconds_of(warm[name][0], sizes.steps, device))
    ours, waiting = times["ours, plain"], []
    for name, taken in times.items():
        to_timm, to_plain = (
            statistics.median(one / other for one, other in zip(taken, base, strict=True))
            for base in (times["timm"], ours)
        )
        rate = sizes.batch / statistics.median(taken)
        ratios = f"time / timm's {to_timm:.3f}, / plain {to_plain:.3f}"
        waits = count_waits(warm[name][0], device)
        waiting += [name] if name != "timm" and (waits or 0) > most_waits else []
        told = "" if waits is None else f"; waits for the card {waits} times a step"
        tell(f"  {name}: {rate:.0f} images/s; {ratios}; {warm[name][1]:.1f} GB{told}")
    if waiting:
        raise AssertionError(f"steps that wait for the card: {', '.join(waiting)}")
    return {name: step for name, (step, _) in warm.items()}


def measure_training(folder: Path, sizes: Sizes, device: torch.device) -> None:
    """Prints all models and ways."""
    pixels, images = make_batch(sizes, device)
    for model in sizes.models:
        tell(f"{model}, {sizes.side} px, batch {sizes.batch}, {sizes.precision}")
        plain = make_settings(folder, sizes, device, model)
        ways = {
            "timm": lambda plain=plain: timm_step(plain, pixels, images % sizes.classes, sizes),
            "ours, plain": lambda plain=plain: our_step(plain, pixels, images),
        }
        for name, changes in ALIGNED.items():
            aligned = replace(plain, work=folder / "work", objective="clip", **changes)
            ways[name] = lambda aligned=aligned: our_step(aligned, pixels, images)
        compare_steps(ways, sizes, device)


def measure_fp16(folder: Path, sizes: Sizes, device: torch.device) -> None:
    """Prints the rates with float16, and whether the loss stayed a number."""
    pixels, images = make_batch(sizes, device)
    plain = replace(make_settings(folder, sizes, device, sizes.models[0]), precision="fp16")
    aligned = replace(plain, work=folder / "work", embeddings="384", objective="clip")
    tell(f"{plain.model}, fp16 with a scaler")
    ways = {
        "timm": lambda: timm_step(plain, pixels, images % sizes.classes, sizes),
        "ours, plain": lambda: our_step(plain, pixels, images),
        "aligned": lambda: our_step(aligned, pixels, images),
    }
    steps = compare_steps(ways, sizes, device, most_waits=1)  # The scaler asks whether all gradients are finite.
    loss = steps["aligned"]()["loss"].item()  # type: ignore[index]
    tell(f"  loss of the aligned one at the end: {loss:.3f}")


def check_resume(folder: Path, sizes: Sizes, device: torch.device) -> None:
    """Prints whether a run in one piece and one in two leave the same file of weights."""
    plain = make_settings(folder, sizes, device, "resnet18")
    how = {"input_size": 64, "batch_size": 8, "epochs": 2, "deterministic": True, "work": folder / "work"}
    whole = replace(plain, run=folder / "whole", objective="clip", embeddings="384", **how)
    halves = replace(whole, run=folder / "halves")
    train(whole)
    for stop_after in (1, None):
        train(replace(halves, stop_after=stop_after))
    same = (whole.run / WEIGHTS).read_bytes() == (halves.run / WEIGHTS).read_bytes()
    tell(f"stopped after an epoch and gone on, --deterministic: weights {'equal bit for bit' if same else 'DIFFER'}")
    if not same:
        raise AssertionError("a run that went on ended in other weights")


def measure_embedding(_: Path, sizes: Sizes, device: torch.device) -> None:
    """Prints texts a second, the ratio to the plain call, and the least cosine to it."""
    texts = read_texts([], sizes.texts)
    encoder = load_encoder("minilm", str(device))
    model = encoder._model  # type: ignore[attr-defined]
    ways = {
        "SentenceTransformer.encode": lambda: model.encode(texts, normalize_embeddings=True, show_progress_bar=False),
        "ours": lambda: encoder.encode(texts),
    }
    vectors = {name: encode() for name, encode in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _number in range(sizes.rounds):
        for name, encode in ways.items():
            times[name].append(seconds_of(encode, 1, device))
    theirs, ours = times.values()
    ratio = statistics.median(one / other for one, other in zip(theirs, ours, strict=True))
    least = float((vectors["ours"] * vectors["SentenceTransformer.encode"]).sum(1).min())
    rates = " against ".join(f"{len(texts) / statistics.median(taken):.0f}" for taken in (ours, theirs))
    tell(f"embedding: {rates} texts/s, {ratio:.2f} times SentenceTransformer.encode; least cosine {least:.5f}")


def measure_features(folder: Path, sizes: Sizes, device: torch.device) -> None:
    """Prints features a second, decoding included, and timm's forward passes of pixels on the device."""
    (folder / "jpegs").mkdir()
    make_photos(folder / "jpegs", sizes.photos)
    images = open_images(str(folder / "jpegs"))
    digests = scan_images(images).digests
    backbone, workers = find_frozen(FROZEN, 160), count_workers(None, device)
    start_s = time.perf_counter()
    load_image_features(images, digests, backbone, str(device), workers)
    own = len(images) / (time.perf_counter() - start_s)
    batch = next(iter(EvaluationBatches(images, backbone.data_config, min(128, len(images)), device=device)))
    model = timm.create_model(FROZEN, num_classes=2).to(device).eval()
    with torch.inference_mode():
        model(batch)
        forward = len(batch) / seconds_of(lambda: model(batch), sizes.steps, device)
    tell(f"frozen features: {own:.0f} images/s from JPEGs, {workers} workers; timm's forward pass alone {forward:.0f}")


def measure_label(_: Path, sizes: Sizes, __: torch.device) -> None:
    """Prints seconds, and the share that is right after weighing labels of which a fifth is wrong."""
    number, classes, rng = sizes.weighed, sizes.classes, np.random.default_rng(4)
    truth = np.arange(number) % classes

    def spoil(share: float) -> np.ndarray:
        return np.where(rng.random(number) < share, rng.integers(0, classes, number), truth)

    def make_vectors(name: str, noise: float) -> Vectors:
        means, mix = rng.standard_normal((classes, 32)), rng.standard_normal((32, 384)).astype(np.float32) / 6
        points = (means[truth] + noise * rng.standard_normal((number, 32))).astype(np.float32) @ mix
        names = means.astype(np.float32) @ mix if name == "text" else None
        return Vectors(name, name, points.astype(np.float16), np.arange(number), names)

    given = spoil(0.2)
    picks = Picks("pick", spoil(0.15), np.full(number, -1), rng.random(number, np.float32))
    start_s = time.perf_counter()
    found = weigh(Evidence(classes, given, (picks,), (make_vectors("text", 0.8),), make_vectors("image", 1.0)))
    seconds, right = time.perf_counter() - start_s, 100 * float((found.classes[:, 0] == truth).mean())
    tell(f"label: {number:,} images, {classes:,} classes in {seconds:.1f} s; labels right {right:.1f} % (given: 80)")


# Deterministic kernels want their workspace before anything else has used the card.
PARTS = {
    "resume": check_resume,
    "train": measure_training,
    "fp16": measure_fp16,
    "embed": measure_embedding,
    "features": measure_features,
    "label": measure_label,
}


def tell(line: str) -> None:
    """One line at once: a run that is cut short has said what it knew."""
    print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    progress.silence()
    device = choose_device(arguments.device)
    sizes = SMALL if arguments.small else Sizes()
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    tell(f"{card}; torch {torch.__version__}, timm {timm.__version__}, {os.cpu_count()} cores")
    failed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        make_data(folder, sizes)
        for part in arguments.only:
            start_s = time.perf_counter()
            try:
                PARTS[part](folder, sizes, device)
            except Exception:
                # The other parts can still be measured.
                traceback.print_exc()
                failed.append(part)
            choose_kernels(deterministic=False)
            tell(f"[{part} took {time.perf_counter() - start_s:.0f} s]")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
