"""Retrieval: how often a description finds its image among all of them, through the projector of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64

from gpt4image.errors import DescriptionError, RunError
from gpt4image.evaluate.projector import centred_unit, project_images
from gpt4image.evaluate.record import read_known, record_path
from gpt4image.files import write_json
from gpt4image.runs import PROJECTOR, hash_digests, hash_weights, load_manifest

if TYPE_CHECKING:
    from gpt4image.embed.table import EmbeddingTable
    from gpt4image.images import ImageSet

TOPS = (1, 5)
SCORES_AT_ONCE = 1 << 24
"""Texts times images that are held in memory."""


def measure_retrieval(
    run: Path,
    images: "ImageSet",
    digests: Sequence[str],
    table: "EmbeddingTable",
    prompts: Sequence[str] = (),
    name: str = "",
    redo: bool = False,
    features: Float32[np.ndarray, "n f"] | None = None,
    **how: Any,
) -> dict[str, Any]:
    """Measures R@1 and R@5 of the images' descriptions; what is known of these weights, images and texts is read.

    An image that stands in the set several times counts once, one without a description not at all.

    Args:
        run: a finished run with a projector.
        images: readable images, best those that the run was not trained on.
        digests: of the images.
        table: embeddings of their descriptions, by the encoder that the run was trained with.
        prompts: only descriptions of these prompts; all if empty.
        name: of the image set if the run is measured on more than one.
        redo: measure again.
        features: of the images, if they are known.
        how: `batch_size`, `workers`, `device` of `predict`.

    Raises:
        RunError: the run has no projector.
        DescriptionError: no image is described, or another encoder made the table.
    """
    if not has_text_projector(run):
        raise RunError(f"{run} has no projector to text embeddings; descriptions find images only in a run aligned so")
    trained_with = _encoder_of(run)
    if table.manifest["encoder"] != trained_with:
        raise DescriptionError(
            f"{table.folder} was made by the encoder {table.manifest['encoder']}, {run} was trained with "
            f"{trained_with}; embed the descriptions with that one"
        )
    index = table.join(digests, prompts)
    first = np.sort(np.unique(np.asarray(digests), return_index=True)[1])
    described = first[index.count[first] > 0]
    if len(described) == 0:
        raise DescriptionError(f"{table.folder} holds no description of any image in {images.source}")
    rows = np.concatenate([index.of(image) for image in described])
    texts = table.rows["text_hash"].take(rows).to_pylist()
    identity = {
        "source": images.source,
        "digests_hash": hash_digests([digests[image] for image in described]),
        "texts_hash": hash_digests(texts),
        "weights_sha256": hash_weights(run),
    }
    path = retrieval_path(run, name)
    if not redo and (known := read_known(path, identity)) is not None:
        return known
    known_features = None if features is None else features[described]
    projected = project_images(
        run, images.subset(described), [digests[image] for image in described], known_features, **how
    )
    owners = np.repeat(np.arange(len(described)), index.count[described])
    recalls = compute_recalls(projected, table.vectors[rows].astype(np.float32), owners)
    record = {"recalls": recalls, "images": len(described), "texts": len(rows), **identity}
    write_json(path, record)
    return record


def has_text_projector(run: Path) -> bool:
    """Whether a finished run projects image features to text embeddings."""
    return (run / PROJECTOR).exists() and _encoder_of(run) is not None


def compute_recalls(
    projected: Float32[np.ndarray, "n d"], vectors: Float32[np.ndarray, "t d"], owners: Int64[np.ndarray, "t"]
) -> dict[str, float]:
    """R@k in percent: how many texts have their image among the k nearest by cosine similarity, means taken off.

    Of images that are equally near, the text's own comes last.

    Args:
        projected: one row an image.
        vectors: one row a text.
        owners: the image of each text.
    """
    images, texts = centred_unit(projected), centred_unit(vectors)
    ranks = np.empty(len(texts), dtype=np.int64)
    block = max(1, SCORES_AT_ONCE // len(images))
    for start in range(0, len(texts), block):
        part = slice(start, start + block)
        scores = texts[part] @ images.T
        own = scores[np.arange(len(scores)), owners[part]]
        ranks[part] = (scores >= own[:, None]).sum(1)
    return {f"R@{top}": 100 * float((ranks <= top).mean()) for top in TOPS}


def retrieval_path(run: Path, name: str = "") -> Path:
    """`RUN/retrieval.json`, or `RUN/retrieval-NAME.json` for a further image set."""
    return record_path(run, "retrieval", name)


def describe_recalls(record: dict[str, Any]) -> str:
    """In one line, with what chance gives."""
    shown = ", ".join(f"{name} {value:.1f} %" for name, value in record["recalls"].items())
    chance = ", ".join(f"{min(100, 100 * top / record['images']):.1f} %" for top in TOPS)
    return f"{shown} (by chance {chance}; {record['texts']:,} descriptions, {record['images']:,} images)"


def _encoder_of(run: Path) -> str | None:
    return (load_manifest(run).text.get("table") or {}).get("encoder")
