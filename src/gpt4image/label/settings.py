"""The settings of the label stage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gpt4image.errors import SettingsError, check_least
from gpt4image.files import check_folder_name

WRONG_KINDS = ("uniform", "next", "similar", "ambiguous")


@dataclass(frozen=True)
class LabelSettings:
    """Weighs all that is known about each image into what it most probably is: WORK/labels/NAME/.

    Attributes:
        images: a folder (one sub-folder a class, _unlabelled for the rest), a list, shards, or fashion-mnist:1k
        work: work folder with descriptions, picks and embeddings; any of them may be missing
        name: of the labels in WORK/labels
        prompts: descriptions to read; all that are embedded if not given, none for no texts
        picks: prompts whose answers name a class; pick_class, pick and fields called class if not given, or none
        embeddings: name of the table in WORK/embeddings; not needed if there is only one
        class_names: what classes are called in words, perhaps with a sentence about each, as JSON or CSV (class,
            name, explanation); needed where no image has a label
        features: model whose features are the images' own opinion: a timm name, a run's folder, or none
        input_size: side in pixels of that model's input; its own if not given
        method: how witnesses are weighed; the others are earlier methods, for comparison
        keep_labels: share of labels kept, or how many a class if above 1 (a situation, made on purpose)
        wrong_labels: share of labels made wrong on purpose
        wrong_kind: to what: any other class, the next one, the most similar one, or the runner-up on ambiguous images
        seed: of the choices above and of the cross-fitting
        device: auto, cpu, cuda, cuda:N or mps
        workers: processes that decode images; 8 at most on a GPU and none on a CPU if not given
    """

    images: str
    work: Path
    name: str = "default"
    prompts: tuple[str, ...] = ()
    picks: tuple[str, ...] = ()
    embeddings: str | None = None
    class_names: Path | None = None
    features: str = "tf_efficientnet_lite0"
    input_size: int | None = None
    method: Literal["weighed", "texts", "dawid_skene", "cleanlab"] = "weighed"
    keep_labels: float = 1.0
    wrong_labels: float = 0.0
    wrong_kind: Literal["uniform", "next", "similar", "ambiguous"] = "uniform"
    seed: int = 0
    device: str = "auto"
    workers: int | None = None

    def __post_init__(self) -> None:
        check_least(self, seed=0, workers=0)
        if not 0 <= self.wrong_labels <= 1:
            raise SettingsError(f"--wrong-labels is {self.wrong_labels}; it must be between 0 and 1")
        if self.keep_labels < 0:
            raise SettingsError(f"--keep-labels is {self.keep_labels}; it must be 0 or more")
        check_folder_name(self.name)

    @property
    def text_prompts(self) -> tuple[str, ...] | None:
        """Prompts to read as descriptions: None for all, () for none."""
        return None if not self.prompts else () if self.prompts == ("none",) else self.prompts

    @property
    def pick_prompts(self) -> tuple[str, ...] | None:
        """Prompts to read as picks: None for all, () for none."""
        return None if not self.picks else () if self.picks == ("none",) else self.picks

    @property
    def uses_features(self) -> bool:
        """Whether the images have an opinion of their own."""
        return self.features != "none"
