"""Stage 5: the trained model as a plain timm folder, and as ONNX, with proof that it still computes the same."""

from gpt4image.export.stage import ExportResult, ExportSettings, export

__all__ = ["ExportResult", "ExportSettings", "export"]
