"""Stage 5, export: a finished run in, a verified timm folder (and ONNX file) with a model card out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.errors import SettingsError, check_least
from gpt4image.files import atomic_folder, read_json, reading, write_json, write_text
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.images import ImageSet

VERIFICATION = "verification.json"


@dataclass(frozen=True)
class ExportSettings:
    """Write a plain timm model, and check that it computes what the trained model computes.

    Attributes:
        run: folder of a finished run.
        export: folder to write; timm.create_model("local-dir:EXPORT", pretrained=True) loads it.
        images: validation images for the check, any image set; without them generated images are used.
        max_images: check on so many of them, evenly spread.
        onnx: write model.onnx too (needs gpt4image[onnx]); it must give the same classes and logits within 0.001.
        replace: write over an earlier export.
    """

    run: Path
    export: Path
    images: str | None = None
    max_images: int = 2000
    onnx: bool = False
    replace: bool = False

    def __post_init__(self) -> None:
        check_least(self, max_images=1)


@dataclass(frozen=True)
class ExportResult(StageResult):
    """What was written.

    Attributes:
        export: the folder.
        verification: contents of its verification.json.
        reused: whether it was there already.
    """

    export: Path
    verification: dict[str, Any]
    reused: bool

    def lines(self) -> Iterator[Any]:
        record = self.verification
        for kind in ("timm", "onnx"):
            if kind in record:
                same = f"same class for all, logits within {record[kind]['max_logit_difference']:.1e}"
                yield f"{kind}: verified on {record['num_images']:,} {record['images']} images: {same}"
        cost = record["cost"]
        yield (
            f"as the plain model: {cost['exported']['parameters']:,} parameters, "
            f"{cost['exported']['flops_per_image'] / 1e6:,.0f} MFLOPs an image, "
            f"latency {cost['exported']['latency_ms']:.2f} ms (plain {cost['plain']['latency_ms']:.2f} ms)"
        )
        yield f"{'already exported' if self.reused else 'written'}: {self.export}"
        yield f'load it with timm.create_model("local-dir:{self.export}", pretrained=True)'


def export(settings: ExportSettings) -> ExportResult:
    """Exports a run; an unchanged export is left alone.

    Raises:
        RunError: the folder is no finished run.
        SettingsError: the target is in use, or the ONNX extra is missing.
        VerificationError: the exported model does not compute what the trained one does; nothing is left behind.
    """
    from gpt4image.export.card import render_card
    from gpt4image.export.onnx_file import FILE_NAME, require_onnx, write_onnx
    from gpt4image.export.proof import prove
    from gpt4image.export.timm_folder import write_timm_folder
    from gpt4image.progress import say
    from gpt4image.runs import load_manifest, load_model

    manifest = load_manifest(settings.run)
    finished = _read_finished(settings)
    if finished is not None:
        return ExportResult(settings.export, finished, reused=True)
    if settings.onnx:
        require_onnx()
    images = None if settings.images is None else _select(settings.images, settings.max_images, manifest.classes)
    model = load_model(settings.run, manifest)
    with atomic_folder(settings.export) as folder:
        write_timm_folder(model, manifest, folder)
        if settings.onnx:
            say("writing ONNX ...")
            write_onnx(model, manifest, folder / FILE_NAME)
        record = prove(model, manifest, folder, images) | _identity(settings)
        write_json(folder / VERIFICATION, record)
        write_text(folder / "README.md", render_card(settings.run, settings.export.name, manifest, record))
    return ExportResult(settings.export, record, reused=False)


def _identity(settings: ExportSettings) -> dict[str, Any]:
    from gpt4image.runs import hash_weights

    return {"weights_sha256": hash_weights(settings.run), "images_source": settings.images}


def _read_finished(settings: ExportSettings) -> dict[str, Any] | None:
    """The earlier export's record if it is what is wanted, None if there is nothing to keep.

    Raises:
        SettingsError: something else is there.
    """
    folder = settings.export
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    if not (folder / VERIFICATION).exists():
        raise SettingsError(f"{folder} exists and is no export; choose another folder")
    with reading(folder / VERIFICATION):
        record = read_json(folder / VERIFICATION)
        record = {**record, "cost": {**record["cost"]}}
    same = all(record.get(name) == value for name, value in _identity(settings).items()) and (
        not settings.onnx or "onnx" in record
    )
    if not same and not settings.replace:
        raise SettingsError(f"{folder} holds another export; choose another folder, or --replace")
    return record if same and not settings.replace else None


def _select(source: str, max_images: int, classes: list[str]) -> "ImageSet":
    """At most `max_images` readable images, evenly spread; their labels in the model's order."""
    import numpy as np

    from gpt4image.images import open_images, scan_images

    images = open_images(source).with_classes(classes)
    readable = np.flatnonzero(scan_images(images).readable)
    count = min(len(readable), max_images)
    return images.subset(readable[np.linspace(0, len(readable) - 1, count).round().astype(np.int64)])
