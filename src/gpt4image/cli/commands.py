"""The commands: where each stage lives. No logic."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    """Where a command lives: `module` holds the function `function` that takes one `settings` object."""

    help: str
    module: str
    function: str

    def load(self) -> tuple[type, Callable[[Any], Any]]:
        """The class of its settings and its function."""
        function = getattr(importlib.import_module(f"gpt4image.{self.module}"), self.function)
        return inspect.signature(function).parameters["settings"].annotation, function


COMMANDS = {
    "demo": Command("all stages on Fashion-MNIST, with table and report", "demo.stage", "demo"),
    "split": Command("set test images aside", "images.split", "split"),
    "describe": Command("write a description of every image", "describe.stage", "describe_command"),
    "describe-import": Command(
        "take descriptions from a file", "describe.exchange.import_stage", "import_descriptions"
    ),
    "describe-export": Command("write descriptions to a file", "describe.exchange.export_stage", "export_descriptions"),
    "lint": Command("say what is wrong with descriptions", "describe.lint.stage", "lint"),
    "doctor": Command("say whether an endpoint sees images", "describe.doctor.stage", "examine"),
    "embed": Command("turn descriptions into text embeddings", "embed.stage", "embed"),
    "label": Command("weigh all that is known about each image's class", "label.stage", "label"),
    "label-export": Command("write weighed labels for other trainers", "label.export", "export_labels"),
    "forecast": Command("say from a pilot what describing all would bring and cost", "forecast.stage", "forecast"),
    "train": Command("train one image model", "train.stage", "train"),
    "evaluate": Command("measure a trained model on images", "evaluate.stage", "evaluate"),
    "compare": Command(
        "baseline against aligned models, with controls and intervals", "report.stage", "compare_and_report"
    ),
    "transfer": Command("measure a model's features on other classes", "evaluate.transfer", "transfer"),
    "export": Command("write a plain timm model", "export.stage", "export"),
    "report": Command("write the HTML report of a comparison", "report.stage", "report"),
    "search": Command("find images by text", "report.search", "search"),
    "label-errors": Command("list labels to check, most doubtful first", "report.label_errors", "find_label_errors"),
    "gallery": Command("look through images, texts and labels, and answer", "report.gallery.stage", "gallery"),
}
