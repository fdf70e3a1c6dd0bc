"""Stage 4, evaluate: a finished run and labelled images in, `evaluation.json` and `predictions.npz` out."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.errors import DamagedFileError, check_least
from gpt4image.evaluate.record import (
    Predictions,
    evaluation_path,
    features_path,
    predictions_path,
    read_known,
    read_measures,
    save_features,
    save_predictions,
)
from gpt4image.files import read_json, write_json
from gpt4image.results import ExitStatus, StageResult
from gpt4image.runs import find_trained_on, hash_digests, hash_weights, load_manifest

if TYPE_CHECKING:
    import numpy as np

    from gpt4image.evaluate.labelled import Labelled


@dataclass(frozen=True)
class EvaluateSettings:
    """Measure a trained model on labelled images.

    Attributes:
        run: folder of a finished run.
        images: the test images: a folder with one sub-folder a class, a list, or fashion-mnist:test. Classes are
            matched by name; images without a label or that cannot be read are left out and counted.
        name: of this test set if the run is tested on more than one; it becomes part of the file names.
        batch_size: images at a time; as many as suit the device, and on a CPU their size, if not given.
        workers: processes that decode images; 8 at most on a GPU and 2 on a CPU if not given.
        device: auto, cpu, cuda, cuda:N or mps.
        redo: measure again even if the run has been tested on these images.
        features: also keep what the classifier sees of each image in features.npz, for maps and nearest images.
        corruptions: also measure accuracy under the 15 common corruptions (noise, blur, weather, compression).
        severities: of the corruptions, 1 to 5; each takes one pass over the images a corruption.
        work: work folder with descriptions of these images, embedded: also measure how often one finds its image.
        embeddings: name of the table in WORK/embeddings; not needed if there is only one.
        prompts: only descriptions of these prompts; all of the table if none is given.
    """

    run: Path
    images: str
    name: str = ""
    batch_size: int | None = None
    workers: int | None = None
    device: str = "auto"
    redo: bool = False
    features: bool = False
    corruptions: bool = False
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    work: Path | None = None
    embeddings: str | None = None
    prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_least(self, batch_size=1, workers=0)


@dataclass(frozen=True)
class EvaluateResult(StageResult):
    """All measures in percent.

    Attributes:
        path: the evaluation's file.
        top1: accuracy.
        top5: share of images whose class is among the five most likely.
        ece: expected calibration error.
        macro: mean of the classes' accuracies, which rare classes count in as much as frequent ones.
        macro_f1: mean of the classes' F1.
        n: images measured.
        unlabelled: images left out because they have no label.
        unreadable: key of each image left out because it cannot be read, and why.
        per_class: class name to {accuracy, n}.
        reused: whether the measures were there already.
        trained_on: images that the run has seen in training or validation, by their bytes; the measures flatter it.
        example: the key of one of them.
        replaced: the test images of the evaluation that this one took the place of, if they were others.
        corruptions: accuracy under corruptions, mean (`top1`) and of each (`by_corruption`); empty if not measured.
        retrieval: how often a description finds its image: `recalls`, `images`, `texts`; empty if not measured.
    """

    path: Path
    top1: float
    top5: float
    ece: float
    macro: float
    macro_f1: float
    n: int
    unlabelled: int
    unreadable: dict[str, str]
    per_class: dict[str, dict[str, Any]]
    reused: bool
    trained_on: int = 0
    example: str = ""
    replaced: str = ""
    corruptions: dict[str, Any] = field(default_factory=dict)
    retrieval: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_status(self) -> ExitStatus:
        return ExitStatus.PARTLY if self.unreadable else ExitStatus.DONE

    def lines(self) -> Iterator[Any]:
        yield self._table()
        if self.unlabelled:
            yield f"{self.unlabelled:,} images without a label were left out"
        for key, reason in self.unreadable.items():
            yield f"left out: {key} ({reason})"
        yield f"top-1 {self.top1:.2f} %, top-5 {self.top5:.2f} %, calibration error {self.ece:.2f} %, {self.n:,} images"
        if self.trained_on:
            yield describe_overlap(self.trained_on, self.n, self.example)
        yield f"over classes: accuracy {self.macro:.2f} %, F1 {self.macro_f1:.2f} %"
        if self.corruptions:
            by_name = ", ".join(f"{name} {top1:.1f}" for name, top1 in self.corruptions["by_corruption"].items())
            yield f"under corruptions: top-1 {self.corruptions['top1']:.2f} % ({by_name})"
        if self.retrieval:
            from gpt4image.evaluate.retrieval import describe_recalls

            yield f"a description finds its image: {describe_recalls(self.retrieval)}"
        if self.replaced:
            yield f"it took the place of the evaluation on {self.replaced}; --name keeps those of several test sets"
        yield f"{'already measured' if self.reused else 'written'}: {self.path}"

    def _table(self) -> Any:
        from rich.table import Table

        table = Table("class", "images", "top-1 %")
        for column in table.columns[1:]:
            column.justify = "right"
        for name, row in self.per_class.items():
            table.add_row(name, f"{row['n']:,}", "-" if row["accuracy"] is None else f"{row['accuracy']:.1f}")
        return table


def evaluate(settings: EvaluateSettings) -> EvaluateResult:
    """Measures a run on test images; what has been measured with these weights and images is not measured again.

    Raises:
        RunError: the folder is no finished run.
        ImageSetError: no labelled image, or classes that the model does not know.
        DescriptionError: there is no embedded description of these images in the work folder that was given.
    """
    from gpt4image.evaluate.labelled import open_labelled

    path = evaluation_path(settings.run, settings.name)
    test = open_labelled(settings.images, load_manifest(settings.run).classes)
    identity = {"digests_hash": hash_digests(test.digests), "weights_sha256": hash_weights(settings.run)}
    kept = [predictions_path(settings.run, settings.name)]
    kept += [features_path(settings.run, settings.name)] if settings.features else []
    known = read_known(path, identity) if all(map(Path.exists, kept)) and not settings.redo else None
    known = read_measures(path) if known is not None and "macro_f1" in known else None
    seen = find_trained_on(settings.run, test.digests)
    example = test.images.keys[seen[0]] if len(seen) else ""
    found = {"images": settings.images, "unlabelled": test.unlabelled, "unreadable": test.unreadable}
    found |= {"trained_on": len(seen), "example": example} if len(seen) else {}
    measured, features = (known, None) if known is not None else _measure(settings, test)
    record = measured | found | identity
    replaced = _find_replaced(path, record)
    if record != known:
        write_json(path, record)
    corruptions = _measure_corruptions(settings, test, identity) if settings.corruptions else {}
    retrieval = _measure_retrieval(settings, test, features) if settings.work is not None else {}
    shown = ("top1", "top5", "ece", "macro", "macro_f1", "n", "unlabelled", "unreadable", "per_class")
    measures = {name: record[name] for name in shown}
    told: dict[str, Any] = {"trained_on": len(seen), "example": example, "replaced": replaced}
    return EvaluateResult(
        path, reused=known is not None, corruptions=corruptions, retrieval=retrieval, **told, **measures
    )


def describe_overlap(number: int, num_images: int, example: str) -> str:
    """In words: test images that a run was trained on."""
    return (
        f"{number:,} of {num_images:,} test images were trained on or chosen by (same bytes), such as {example}: the "
        "measures flatter the model; take others"
    )


def _find_replaced(path: Path, record: dict[str, Any]) -> str:
    """What an evaluation that stands there was of, if of other images than this one."""
    if not path.exists():
        return ""
    with suppress(DamagedFileError):
        before = read_json(path)
        if before.get("digests_hash") != record["digests_hash"]:
            return str(before.get("images", "other images"))
    return ""


def _how(settings: EvaluateSettings) -> dict[str, Any]:
    from gpt4image.models.machine import choose_device, count_workers

    workers = count_workers(settings.workers, choose_device(settings.device), on_cpu=2)
    return {"batch_size": settings.batch_size, "workers": workers, "device": settings.device}


def _measure(settings: EvaluateSettings, test: "Labelled") -> tuple[dict[str, Any], "np.ndarray"]:
    """The measures, and the features of the images."""
    from gpt4image.evaluate.metrics import compute_metrics
    from gpt4image.models.predict_run import predict_run

    found, labels = predict_run(settings.run, test.images, test.digests, **_how(settings)), test.images.labels
    path = features_path(settings.run, settings.name)
    path.unlink(missing_ok=True)
    if settings.features:
        save_features(path, found.features, test.digests, hash_weights(settings.run))
    save_predictions(predictions_path(settings.run, settings.name), Predictions(found.logits, labels, test.digests))
    return asdict(compute_metrics(found.logits, labels, test.images.classes)), found.features


def _measure_retrieval(settings: EvaluateSettings, test: "Labelled", features: "np.ndarray | None") -> dict[str, Any]:
    from gpt4image.embed.table import EmbeddingTable, find_table
    from gpt4image.evaluate.retrieval import measure_retrieval

    assert settings.work is not None
    table = EmbeddingTable.open(find_table(settings.work, settings.embeddings))
    how = {"name": settings.name, "redo": settings.redo, **_how(settings)}
    return measure_retrieval(settings.run, test.images, test.digests, table, settings.prompts, features=features, **how)


def _measure_corruptions(settings: EvaluateSettings, test: "Labelled", identity: dict[str, str]) -> dict[str, Any]:
    from gpt4image.evaluate.corruptions import check_size, corruptions_path, list_corruptions, save_corruptions
    from gpt4image.models.predict import predict
    from gpt4image.runs import load_model

    path = corruptions_path(settings.run, settings.name)
    corruptions, correct = list(list_corruptions(settings.severities)), {}
    identity_here = {**identity, "severities": sorted(settings.severities)}
    known = read_known(path, identity_here) if path.with_suffix(".npz").exists() and not settings.redo else None
    if known is not None:
        return known
    manifest = load_manifest(settings.run)
    check_size(manifest.data_config)
    model = load_model(settings.run, manifest)
    for one in corruptions:
        label = f"{one.name.replace('_', ' ')}, severity {one.severity}"
        outputs = predict(model, test.images, manifest.data_config, label=label, change=one, **_how(settings))
        correct[one] = outputs.logits.argmax(1) == test.images.labels
    return save_corruptions(path, correct, test.digests, identity)
