"""For people: the report of a comparison, the gallery of descriptions, and the page of a search."""

from gpt4image.report.stage import ReportResult, ReportSettings, report, write_report

__all__ = ["ReportResult", "ReportSettings", "report", "write_report"]
