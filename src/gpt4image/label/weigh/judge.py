"""What everything that was fitted says of each image, in chunks: also of images that nothing was fitted on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gpt4image.label.weigh.evidence import Evidence
from gpt4image.label.weigh.hypothesis import Hypothesis
from gpt4image.label.weigh.log_space import normalise_logs
from gpt4image.label.weigh.pool import combine
from gpt4image.label.weigh.prepare import Prepared, list_blocks, read_labels, take_picks, take_vectors
from gpt4image.label.weigh.strangeness import ClassShapes

CHUNK_CELLS = 20_000_000
"""Images times classes that are judged at once."""
MOST_KEPT = 20
"""Classes of an image of which the probability is kept."""
DOUBT_NOISE = 0.05
"""Label noise by which labels are ranked where none was found: it only has to be above zero."""


def hear_unseen(
    evidence: Evidence, prepared: Prepared, chosen: Hypothesis, rows: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Opinions log(p_w / pi_w) [n, C] of each witness, by the mean of the folds' models; and points, by block."""
    opinions, points = {}, {}
    num_classes = evidence.num_classes
    for picks in evidence.picks:
        name = f"pick:{picks.name}"
        some = take_picks(picks, rows)
        has = np.flatnonzero(some.first >= 0)
        opinions[name] = np.zeros((len(rows), num_classes), np.float32)
        opinions[name][has] = np.log(chosen.tables[name][1].read(some, has) + 1e-9) - np.log(chosen.prior)
    for block in list_blocks(evidence):
        if block.name not in chosen.fits:
            continue
        vectors, has = take_vectors(block, rows), block.rows[rows] >= 0
        points[block.name] = prepared.components[block.name].project(vectors)
        fit = chosen.fits[block.name]
        readings = {block.name: (fit.read_unseen(points[block.name]), fit.prior)}
        if f"names:{block.name}" in chosen.readers:
            readings[f"names:{block.name}"] = chosen.readers[f"names:{block.name}"].read(vectors), chosen.prior
        for name, (logits, prior) in readings.items():
            opinion = np.log(chosen.calibrations[name].apply(logits, prior) + 1e-12) - np.log(prior)
            opinions[name] = np.where(has[:, None], opinion, 0).astype(np.float32)
    return {name: opinions[name] for name in chosen.opinions}, points


def judge(
    evidence: Evidence, prepared: Prepared, clean: Hypothesis, chosen: Hypothesis, shapes: dict[str, ClassShapes]
) -> Iterator[dict[str, Any]]:
    """Everything that is said about each image, in chunks.

    Args:
        evidence: of all images.
        prepared: the images that were fitted on.
        clean: the hypothesis that labels are right, which knows what labels look like.
        chosen: the hypothesis that is believed.
        shapes: of the classes, in each block of vectors.
    """
    labels, by_person = read_labels(evidence)
    places = np.full(len(labels), -1)
    chunk = max(1, CHUNK_CELLS // evidence.num_classes)
    places[prepared.rows] = np.arange(len(prepared.rows))
    for start in range(0, len(labels), chunk):
        rows = np.arange(start, min(start + chunk, len(labels)))
        opinions, points = hear_unseen(evidence, prepared, chosen, rows)
        fitted = places[rows] >= 0
        for name, opinion in chosen.opinions.items():
            opinions[name][fitted] = opinion[places[rows][fitted]]
        heard = np.sum([np.abs(one).max(1) > 0 for one in opinions.values()], axis=0) > 0
        weights = list(chosen.weights.values())
        pooled = combine(list(opinions.values()), weights, chosen.prior, chosen.list_told(), chosen.leak)
        labelled = np.flatnonzero(labels[rows] >= 0)
        views = _see(evidence, prepared, clean, chosen, rows[labelled], places)
        likelihood = _likelihood(chosen, views, labels[rows][labelled], places[rows][labelled])
        person = by_person[rows][labelled] | (chosen.kind == "clean")
        own = labels[rows][labelled]
        likelihood[person] = 1e-9
        likelihood[person, own[person]] = 1.0
        logits = pooled.copy()
        logits[labelled] += np.log(likelihood + 1e-12)
        belief = np.exp(normalise_logs(logits))
        classes = _take_likeliest(belief)
        measures = {}
        for block in [*evidence.texts, *([evidence.images] if evidence.images is not None else [])]:
            if block.name in shapes:
                measures[block.name] = np.where(
                    block.rows[rows] >= 0, shapes[block.name].measure(points[block.name][:, :-1]), np.nan
                )
        probabilities = np.exp(pooled)
        measures["entropy"] = -(probabilities * pooled).sum(1)
        yield {
            "shares": belief[heard | (labels[rows] >= 0)].sum(0, keepdims=True, dtype=np.float64),
            "classes": classes,
            "values": np.take_along_axis(belief, classes, 1).astype(np.float16),
            "certain": np.take_along_axis(belief, classes[:, :1], 1)[:, 0],
            "of_label": np.where(labels[rows] >= 0, belief[np.arange(len(rows)), np.maximum(labels[rows], 0)], np.nan),
            "heard": heard | (labels[rows] >= 0),
            "doubt": _doubt(pooled, labels[rows], labelled, likelihood, chosen),
            "measures": measures,
            "opinions": {name: _name(one + np.log(chosen.prior)) for name, one in opinions.items()},
            **_tell([opinions[f"pick:{picks.name}"] for picks in evidence.picks], chosen.prior, classes),
        }


def _tell(
    opinions: list[Float[np.ndarray, "n C"]], prior: Float[np.ndarray, " C"], classes: Int[np.ndarray, "n K"]
) -> dict[str, Float[np.ndarray, "n K"]]:
    """What the picks alone say of those classes: the mean of their probabilities; nothing without picks."""
    if not opinions:
        return {}
    spoken = [np.ptp(one, axis=1, keepdims=True) > 0 for one in opinions]
    each = [np.exp(normalise_logs(one + np.log(prior))) * has for one, has in zip(opinions, spoken, strict=True)]
    told = np.take_along_axis(np.sum(each, axis=0), classes, 1)
    return {"told": (told / np.maximum(told.sum(1, keepdims=True), 1e-9)).astype(np.float16)}


def _see(
    evidence: Evidence,
    prepared: Prepared,
    clean: Hypothesis,
    chosen: Hypothesis,
    rows: np.ndarray,
    places: np.ndarray,
) -> dict[str, np.ndarray]:
    """What the labelled images look like to who learnt from labels, where labels are given by sight."""
    if not chosen.channel.view:
        return {}
    name = chosen.channel.view
    opinions, _ = hear_unseen(evidence, prepared, clean, rows)
    view = opinions[name] + np.log(clean.fits[name].prior)
    fitted = places[rows] >= 0
    view[fitted] = chosen.views[name][places[rows][fitted]]
    return {name: view}


def _likelihood(
    chosen: Hypothesis, views: dict[str, np.ndarray], labels: np.ndarray, places: np.ndarray
) -> Float[np.ndarray, "n C"]:
    """P(label | y) of labelled images, by matrices that did not count the image's own label."""
    likelihood = chosen.channel.compute_likelihood(labels, views)
    if chosen.channel.matrices is not None and (places >= 0).any():
        own = np.flatnonzero(places >= 0)
        folds = chosen.problem.folds[places[own]]
        likelihood[own] = chosen.channel.compute_likelihood(labels[own], {}, folds)
    return likelihood


def _doubt(
    pooled: np.ndarray, labels: np.ndarray, labelled: np.ndarray, likelihood: np.ndarray, chosen: Hypothesis
) -> np.ndarray:
    """Log-odds that the label is wrong; where labels seem right, as if a few were wrong."""
    doubt = np.full(len(labels), np.nan, np.float32)
    own = labels[labelled]
    every = np.arange(len(labelled))
    if chosen.kind == "clean":
        likelihood = np.full(likelihood.shape, DOUBT_NOISE / likelihood.shape[1])
        likelihood[every, own] = 1 - DOUBT_NOISE
    logs = normalise_logs(pooled[labelled] + np.log(likelihood + 1e-12))
    right = logs[every, own].copy()
    logs[every, own] = -np.inf
    doubt[labelled] = np.log(np.exp(logs).sum(1) + 1e-30) - right
    return doubt


def _name(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    best = logs.argmax(1)
    probability = np.exp(normalise_logs(logs))[np.arange(len(logs)), best]
    return np.where(np.ptp(logs, axis=1) > 0, best, -1), probability.astype(np.float32)


def _take_likeliest(belief: Float[np.ndarray, "n C"]) -> Int[np.ndarray, "n K"]:
    """At most `MOST_KEPT` classes, the likeliest first."""
    if belief.shape[1] <= 4 * MOST_KEPT:
        return np.argsort(-belief, axis=1, kind="stable")[:, :MOST_KEPT]
    some = np.sort(np.argpartition(-belief, MOST_KEPT, axis=1)[:, :MOST_KEPT], axis=1)
    order = np.argsort(-np.take_along_axis(belief, some, 1), axis=1, kind="stable")
    return np.take_along_axis(some, order, 1)
