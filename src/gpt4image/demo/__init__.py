"""The embedded default: the whole method on 1,000 described Fashion-MNIST images."""

from gpt4image.demo.stage import DemoResult, DemoSettings, demo

__all__ = ["DemoResult", "DemoSettings", "demo"]
