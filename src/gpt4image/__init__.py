"""gpt4image: descriptions by a multimodal LLM teach ordinary image classifiers, at training time only.

Each stage is a package with one settings class and one function of the package's name, for example
`from gpt4image.train import TrainSettings, train`. Importing any of them is cheap: PyTorch and other
heavy libraries load when a stage runs.
"""

__version__ = "0.1.0"
