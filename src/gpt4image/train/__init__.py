"""Stage 3: an ordinary image model learns from labels and from text embeddings."""

from gpt4image.train.settings import TrainSettings
from gpt4image.train.stage import TrainResult, train

__all__ = ["TrainResult", "TrainSettings", "train"]
