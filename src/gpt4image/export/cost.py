"""What a model costs at inference: parameters, floating-point operations, latency."""

import statistics
import time

import torch
from torch import nn

REPEATS = 15


@torch.inference_mode()
def count_flops(model: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Floating-point operations for one image: matrix products, convolutions and attention; a multiply-add is two."""
    from torch.utils.flop_counter import FlopCounterMode

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
