"""Before all descriptions are paid for: what a small pilot of them says about gain and cost."""

from gpt4image.forecast.result import ForecastResult
from gpt4image.forecast.stage import ForecastSettings, forecast

__all__ = ["ForecastResult", "ForecastSettings", "forecast"]
