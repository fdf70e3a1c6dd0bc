"""The commands: where each stage lives. No logic."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """Where a command lives: `module` holds the function `function` that takes one `settings` object."""

    help: str
    module: str
    function: str
    settings: str


COMMANDS = {
    "demo": Command(
        "all stages on Fashion-MNIST, with table and report", "gpt4image.demo.stage", "demo", "DemoSettings"
    ),
    "split": Command("set test images aside", "gpt4image.images.split", "split", "SplitSettings"),
    "describe": Command(
        "write a description of every image",
        "gpt4image.describe.stage",
        "describe_command",
        "DescribeSettings",
    ),
    "describe-import": Command(
        "take descriptions from a file",
        "gpt4image.describe.exchange.import_stage",
        "import_descriptions",
        "ImportSettings",
    ),
    "describe-export": Command(
        "write descriptions to a file",
        "gpt4image.describe.exchange.export_stage",
        "export_descriptions",
        "ExportDescriptionsSettings",
    ),
    "lint": Command("say what is wrong with descriptions", "gpt4image.describe.lint.stage", "lint", "LintSettings"),
    "doctor": Command(
        "say whether an endpoint sees images", "gpt4image.describe.doctor.stage", "examine", "DoctorSettings"
    ),
    "embed": Command("turn descriptions into text embeddings", "gpt4image.embed.stage", "embed", "EmbedSettings"),
    "forecast": Command(
        "say from a pilot what describing all would bring and cost",
        "gpt4image.forecast.stage",
        "forecast",
        "ForecastSettings",
    ),
    "train": Command("train one image model", "gpt4image.train.stage", "train", "TrainSettings"),
    "evaluate": Command(
        "measure a trained model on images", "gpt4image.evaluate.stage", "evaluate", "EvaluateSettings"
    ),
    "compare": Command(
        "baseline against aligned models, with controls and intervals",
        "gpt4image.report.stage",
        "compare_and_report",
        "CompareSettings",
    ),
    "transfer": Command(
        "measure a model's features on other classes", "gpt4image.evaluate.transfer", "transfer", "TransferSettings"
    ),
    "export": Command("write a plain timm model", "gpt4image.export.stage", "export", "ExportSettings"),
    "report": Command("write the HTML report of a comparison", "gpt4image.report.stage", "report", "ReportSettings"),
    "search": Command("find images by text", "gpt4image.report.search", "search", "SearchSettings"),
    "label-errors": Command(
        "list labels to check, found by text",
        "gpt4image.report.label_errors",
        "find_label_errors",
        "LabelErrorsSettings",
    ),
    "gallery": Command(
        "look through images and descriptions", "gpt4image.report.gallery.stage", "gallery", "GallerySettings"
    ),
}
