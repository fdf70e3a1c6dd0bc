"""Baseline against aligned models with controls: same seeds, same images, paired intervals, a verdict in words."""

from gpt4image.compare.settings import CompareSettings
from gpt4image.compare.stage import CompareResult, compare

__all__ = ["CompareResult", "CompareSettings", "compare"]
