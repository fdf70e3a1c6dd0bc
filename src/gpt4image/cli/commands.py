"""The commands: where each stage lives. No logic."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    """Where a command lives: `module` holds the function `function` that takes one `settings` object."""

    help: str
    module: str
    function: str
    settings: str

    def load(self) -> tuple[type, Callable[[Any], Any]]:
        """Its settings class and its function."""
        module = importlib.import_module(f"gpt4image.{self.module}")
        return getattr(module, self.settings), getattr(module, self.function)


COMMANDS = {
    "demo": Command("all stages on Fashion-MNIST, with table and report", "demo.stage", "demo", "DemoSettings"),
    "split": Command("set test images aside", "images.split", "split", "SplitSettings"),
    "describe": Command("write a description of every image", "describe.stage", "describe_command", "DescribeSettings"),
    "describe-import": Command(
        "take descriptions from a file", "describe.exchange.import_stage", "import_descriptions", "ImportSettings"
    ),
    "describe-export": Command(
        "write descriptions to a file",
        "describe.exchange.export_stage",
        "export_descriptions",
        "ExportDescriptionsSettings",
    ),
    "lint": Command("say what is wrong with descriptions", "describe.lint.stage", "lint", "LintSettings"),
    "doctor": Command("say whether an endpoint sees images", "describe.doctor.stage", "examine", "DoctorSettings"),
    "embed": Command("turn descriptions into text embeddings", "embed.stage", "embed", "EmbedSettings"),
    "label": Command("weigh all that is known about each image's class", "label.stage", "label", "LabelSettings"),
    "label-export": Command(
        "write weighed labels for other trainers", "label.export", "export_labels", "LabelExportSettings"
    ),
    "forecast": Command(
        "say from a pilot what describing all would bring and cost", "forecast.stage", "forecast", "ForecastSettings"
    ),
    "train": Command("train one image model", "train.stage", "train", "TrainSettings"),
    "evaluate": Command("measure a trained model on images", "evaluate.stage", "evaluate", "EvaluateSettings"),
    "compare": Command(
        "baseline against aligned models, with controls and intervals",
        "report.stage",
        "compare_and_report",
        "CompareSettings",
    ),
    "transfer": Command(
        "measure a model's features on other classes", "evaluate.transfer", "transfer", "TransferSettings"
    ),
    "export": Command("write a plain timm model", "export.stage", "export", "ExportSettings"),
    "report": Command("write the HTML report of a comparison", "report.stage", "report", "ReportSettings"),
    "search": Command("find images by text", "report.search", "search", "SearchSettings"),
    "label-errors": Command(
        "list labels to check, most doubtful first", "report.label_errors", "find_label_errors", "LabelErrorsSettings"
    ),
    "gallery": Command(
        "look through images, texts and labels, and answer", "report.gallery.stage", "gallery", "GallerySettings"
    ),
}
