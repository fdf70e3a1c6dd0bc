"""Weighs everything that is known about the class of each image: labels, picks, texts, class names, image features."""

from gpt4image.label.weigh.evidence import Evidence, Picks, Vectors, Weighed
from gpt4image.label.weigh.weigh import weigh

__all__ = ["Evidence", "Picks", "Vectors", "Weighed", "weigh"]
