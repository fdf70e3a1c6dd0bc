"""The proof that an exported folder is the trained model and costs what the plain model costs."""

import statistics
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gpt4image.errors import VerificationError
from gpt4image.export.onnx_file import FILE_NAME, load_onnx
from gpt4image.export.timm_folder import check_parameter_names, check_preprocessing, load_timm_folder
from gpt4image.export.verify import NUM_GENERATED, Predictor, batches_of, check_agreement, collect_logits
from gpt4image.images import ImageSet
from gpt4image.models.create import create_model
from gpt4image.runs import RunManifest

REPEATS = 15


def prove(model: nn.Module, manifest: RunManifest, folder: Path, images: ImageSet | None) -> dict[str, Any]:
    """Loads what was written, as a stranger would, and compares it with the trained and with the plain model.

    Args:
        model: the trained model, in evaluation mode, on the CPU.
        manifest: of its run.
        folder: with the timm folder and, if one was wanted, the ONNX file.
        images: validation images; generated ones are used if None.

    Returns:
        What verification.json says.

    Raises:
        VerificationError: names, preprocessing, logits or cost are not the same.
    """
    size = manifest.data_config["input_size"][-1]
    plain = create_model(manifest.model, len(manifest.classes), size, kwargs=manifest.model_kwargs).eval()
    check_parameter_names(folder, plain)
    exported = load_timm_folder(folder)
    check_preprocessing(exported, manifest.data_config)
    total = NUM_GENERATED if images is None else len(images)
    predictors: dict[str, Predictor] = {
        "trained": lambda pixels: model(pixels).float().numpy(),
        "timm": lambda pixels: exported(pixels).float().numpy(),
    }
    if (folder / FILE_NAME).exists():
        predictors["onnx"] = load_onnx(folder / FILE_NAME)
    logits = collect_logits(predictors, batches_of(images, manifest.data_config), total)
    trained, labels = logits.pop("trained"), None if images is None else images.labels
    return {
        "images": "generated" if images is None else "validation",
        "num_images": total,
        **{kind: asdict(check_agreement(kind, trained, found, labels)) for kind, found in logits.items()},
        "parameter_names_equal_plain": True,
        "cost": _check_cost(exported, plain, tuple(manifest.data_config["input_size"])),
    }


def _check_cost(exported: nn.Module, plain: nn.Module, size: tuple[int, int, int]) -> dict[str, Any]:
    """Cost of both models; the counts must be equal, latency is noisy and only told."""
    latencies = measure_latency_ms([exported, plain], size)
    both = {
        name: {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "flops_per_image": count_flops(model, size),
            "latency_ms": latency_ms,
        }
        for name, model, latency_ms in zip(("exported", "plain"), (exported, plain), latencies, strict=True)
    }
    for count in ("parameters", "flops_per_image"):
        if both["exported"][count] != both["plain"][count]:
            raise VerificationError(
                f"the export has {both['exported'][count]:,} {count}, the plain model {both['plain'][count]:,}"
            )
    return {**both, "threads": torch.get_num_threads(), "latency_of": "one image on the CPU, median"}


@torch.inference_mode()
def count_flops(model: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Floating-point operations for one image: matrix products, convolutions and attention; a multiply-add is two."""
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *input_size))
    return counter.get_total_flops()


@torch.inference_mode()
def measure_latency_ms(models: list[nn.Module], input_size: tuple[int, int, int]) -> list[float]:
    """Median milliseconds for one image on the CPU; the models take turns, so that all meet the same disturbances."""
    pixels = torch.zeros(1, *input_size)
    times: list[list[float]] = [[] for _ in models]
    for turn in range(REPEATS + 2):
        for model, measured in zip(models, times, strict=True):
            start_s = time.perf_counter()
            model(pixels)
            if turn >= 2:
                measured.append(1000 * (time.perf_counter() - start_s))
    return [statistics.median(measured) for measured in times]
