"""What each image most probably is, by all that is known of it: labels, picks, texts, the image itself, people."""

from gpt4image.label.settings import LabelSettings
from gpt4image.label.stage import label

__all__ = ["LabelSettings", "label"]
