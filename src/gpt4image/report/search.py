"""Search: images of the user's own by text, through the projector of a run."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.errors import DamagedFileError, RunError, SettingsError, check_least
from gpt4image.files import atomic_path, reading, write_csv
from gpt4image.results import ExitStatus, StageResult

if TYPE_CHECKING:
    import numpy as np

    from gpt4image.images import ImageSet
    from gpt4image.runs import RunManifest


@dataclass(frozen=True)
class SearchSettings:
    """Find images by text, with a model that was trained with descriptions.

    Attributes:
        run: folder of a finished run that has a projector.
        images: the images to search: any image set, labelled or not.
        text: what to look for.
        labels: names of new classes; each image found gets the nearest one (zero-shot).
        top: how many images are shown.
        page: write the images found to this HTML file.
        csv: write key, score and label of all images to this file, best first.
        encoder: text encoder; the run's own if not given.
        batch_size: images at a time; as many as suit the device, and on a CPU their size, if not given.
        workers: processes that decode images; 8 at most on a GPU and 2 on a CPU if not given.
        device: auto, cpu, cuda, cuda:N or mps.
    """

    run: Path
    images: str
    text: str
    labels: tuple[str, ...] = ()
    top: int = 12
    page: Path | None = None
    csv: Path | None = None
    encoder: str | None = None
    batch_size: int | None = None
    workers: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise SettingsError("the text to look for is empty; describe what the images shall show")
        check_least(self, top=1, batch_size=1, workers=0)
        if len(self.labels) == 1:
            raise SettingsError(f"--labels has only {self.labels[0]!r}; give at least 2 to choose from")


@dataclass(frozen=True)
class Found:
    """One image: its key, cosine similarity to the text, and nearest label (empty without labels)."""

    key: str
    score: float
    label: str = ""


@dataclass(frozen=True)
class SearchResult(StageResult):
    """The best images, best first.

    Attributes:
        text: what was looked for.
        found: the images.
        num_images: images searched.
        label_counts: how many images each label got.
        unreadable: key of each image left out and why.
        page: the HTML page, if one was written.
    """

    text: str
    found: tuple[Found, ...]
    num_images: int
    label_counts: dict[str, int]
    unreadable: dict[str, str]
    page: Path | None

    @property
    def exit_status(self) -> ExitStatus:
        return ExitStatus.PARTLY if self.unreadable else ExitStatus.DONE

    def lines(self) -> Iterator[Any]:
        from rich.table import Table

        table = Table("", "score", "image", *(["label"] if self.label_counts else []))
        for rank, one in enumerate(self.found, 1):
            table.add_row(str(rank), f"{one.score:.3f}", one.key, *([one.label] if self.label_counts else []))
        yield table
        if self.label_counts:
            yield "labels of all images: " + ", ".join(f"{name} {count:,}" for name, count in self.label_counts.items())
        yield from (f"left out: {key} ({reason})" for key, reason in self.unreadable.items())
        yield f"{self.num_images:,} images searched for {self.text!r}"
        if self.page is not None:
            yield f"page: {self.page}"


def search(settings: SearchSettings) -> SearchResult:
    """Ranks images by how near what the projector makes of them lies to a text.

    Both sides are taken relative to their mean, images to that of the set, texts to that of the training texts if
    these are still there. Projected images are kept in RUN/search, so that the next search is quick.

    Raises:
        RunError: the run has no projector.
        ImageSetError: the images cannot be opened.
        EncoderError: the text encoder cannot be loaded.
    """
    import numpy as np

    from gpt4image.evaluate.projector import centred_unit
    from gpt4image.images import open_images, scan_images
    from gpt4image.runs import load_manifest

    manifest = load_manifest(settings.run)
    images = open_images(settings.images)
    scan = scan_images(images)
    readable = np.flatnonzero(scan.readable)
    images, digests = images.subset(readable), [scan.digests[index] for index in readable]
    projected = centred_unit(_project_once(settings, images, digests))
    texts = _encode(settings, manifest)
    scores = projected @ (texts / np.maximum(np.linalg.norm(texts, axis=1, keepdims=True), 1e-12)).T
    order = np.argsort(-scores[:, 0], kind="stable")
    names = [settings.labels[i] for i in scores[:, 1:].argmax(1)] if settings.labels else [""] * len(images)
    ranked = [Found(images.keys[i], round(float(scores[i, 0]), 4), names[i]) for i in order]
    if settings.csv is not None:
        write_csv(settings.csv, [("key", "score", "label"), *map(astuple, ranked)])
    if settings.page is not None:
        from gpt4image.report.page import write_image_page

        best, total = images.subset(order[: settings.top]), len(images)
        write_image_page(settings.page, "search.html.j2", best, text=settings.text, total=total, found=ranked)
    counts = {label: names.count(label) for label in settings.labels}
    return SearchResult(settings.text, tuple(ranked[: settings.top]), len(images), counts, scan.errors, settings.page)


def _project_once(settings: SearchSettings, images: "ImageSet", digests: list[str]) -> "np.ndarray":
    """Projected features float32 [N, D], from the cache if the same weights have seen the same images."""
    import numpy as np

    from gpt4image.evaluate.projector import project_images
    from gpt4image.models.machine import choose_device, count_workers
    from gpt4image.runs import hash_digests, hash_weights

    cache = settings.run / "search" / f"{hash_digests([hash_weights(settings.run), *digests])[:24]}.npy"
    with suppress(DamagedFileError), reading(cache):
        return np.load(cache, allow_pickle=False)
    workers = count_workers(settings.workers, choose_device(settings.device), on_cpu=2)
    how: dict[str, Any] = {"batch_size": settings.batch_size, "workers": workers, "device": settings.device}
    projected = project_images(settings.run, images, digests, **how)
    with atomic_path(cache) as temporary, temporary.open("wb") as file:
        np.save(file, projected)
    return projected


def _encode(settings: SearchSettings, manifest: "RunManifest") -> "np.ndarray":
    """Embeddings of the text and the labels, relative to the mean of the training texts or of the labels."""
    from gpt4image.embed.encoders.load import load_encoder
    from gpt4image.report.inside.training_texts import load_training_texts

    encoder = settings.encoder or (manifest.text.get("table") or {}).get("encoder")
    if encoder is None:
        raise RunError(f"{settings.run} does not say which text encoder it was trained with; give --encoder")
    vectors = load_encoder(encoder, settings.device).encode([settings.text, *settings.labels])
    texts = load_training_texts(manifest, settings.run, most=5000)
    if texts is not None and texts.vectors.shape[1] == vectors.shape[1]:
        return vectors - texts.vectors.mean(0)
    return vectors - vectors[1:].mean(0) if len(settings.labels) > 2 else vectors
