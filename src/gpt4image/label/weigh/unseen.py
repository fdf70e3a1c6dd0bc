"""Opinions on images that nothing was fitted on."""

import numpy as np

from gpt4image.label.weigh.evidence import Evidence
from gpt4image.label.weigh.hypothesis import Hypothesis
from gpt4image.label.weigh.prepare import Prepared, list_blocks, take_picks, take_vectors


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
