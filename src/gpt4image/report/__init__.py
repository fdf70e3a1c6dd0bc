"""For people: the report of a comparison, the gallery of descriptions, the page of a search, and labels to check."""

from gpt4image.report.stage import ReportResult, ReportSettings, compare_and_report, report, write_report

__all__ = ["ReportResult", "ReportSettings", "compare_and_report", "report", "write_report"]
