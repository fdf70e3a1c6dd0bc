"""What people do today, for `labels.py`: evidence -> class of each image.

Each single witness; the earlier reader of texts (`earlier_reader`); confident learning (cleanlab) on held-out
probabilities of a regression on texts, on image features, and on texts and picks joined; Dawid and Skene's model over
labels, picks, texts and images (crowd-kit). What is not installed is left out, with a line.
"""

import sys
from importlib.util import find_spec

import numpy as np
from label_situations import find_points

from gpt4image.label.weigh import Evidence


def list_missing() -> list[str]:
    """Competitors that are not installed."""
    return [name for name, module in (("cleanlab", "cleanlab"), ("crowd-kit", "crowdkit")) if find_spec(module) is None]


def read_held_out(points: np.ndarray, given: np.ndarray, num_classes: int, seed: int) -> np.ndarray:
    """Probabilities [N, C] of a regression on labels: held out on labelled images, the folds' mean on the others."""
    from sklearn.linear_model import LogisticRegression

    labelled, rng = np.flatnonzero(given >= 0), np.random.default_rng(seed)
    folds, order = np.empty(len(labelled), int), rng.permutation(len(labelled))
    folds[order[np.argsort(given[labelled][order], kind="stable")]] = np.arange(len(labelled)) % 5
    result = np.zeros((len(given), num_classes))
    for fold in range(5):
        taught, asked = labelled[folds != fold], labelled[folds == fold]
        said = np.full((len(given), num_classes), 1e-9)
        if len(np.unique(given[taught])) < 2:
            said[:] = 1 / num_classes
        else:
            model = LogisticRegression(C=10, max_iter=200).fit(points[taught], given[taught])
            said[:, model.classes_] = model.predict_proba(points)
        result[asked] = said[asked]
        result[given < 0] += said[given < 0] / 5
    return result


def find_all(evidence: Evidence, seed: int) -> dict[str, np.ndarray]:
    """Classes [N] by each competitor that the evidence and what is installed allow."""
    given, num_classes = evidence.given, evidence.num_classes
    found = {}
    pick = evidence.picks[0].first if evidence.picks else None
    if pick is not None:
        found["pick"] = np.maximum(pick, 0)
    texts = find_points(evidence.texts[0]) if evidence.texts else None
    images = find_points(evidence.images) if evidence.images is not None else None
    if evidence.texts and evidence.texts[0].class_vectors is not None:
        found["reader"] = read_as_before(evidence, seed)
    held_out = {}
    if len(np.unique(given[given >= 0])) > 1:
        if texts is not None:
            held_out["texts"] = read_held_out(texts, given, num_classes, seed)
        if images is not None:
            held_out["images"] = read_held_out(images, given, num_classes, seed)
        if texts is not None and pick is not None:
            joined = np.hstack([texts, np.eye(num_classes + 1)[np.maximum(pick, -1)][:, :-1]]).astype(np.float32)
            held_out["joined"] = read_held_out(joined, given, num_classes, seed)
        if find_spec("cleanlab") is not None:
            for name, probabilities in held_out.items():
                found[f"cleanlab {name}"] = drop_errors(probabilities, given)
    if pick is not None and find_spec("crowdkit") is not None:
        workers = {"label": given, "pick": pick}
        workers |= {name: held_out[name].argmax(1) for name in ("texts", "images") if name in held_out}
        found["dawid-skene"] = vote(workers)
    return found


def drop_errors(probabilities: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Labels that cleanlab finds no fault with, else the likeliest class."""
    from cleanlab.filter import find_label_issues

    labelled = np.flatnonzero(given >= 0)
    classes = np.unique(given[labelled])
    some = probabilities[labelled][:, classes] + 1e-9
    faults = find_label_issues(np.searchsorted(classes, given[labelled]), some / some.sum(1, keepdims=True), n_jobs=1)
    result = probabilities.argmax(1)
    result[labelled] = np.where(faults, result[labelled], given[labelled])
    return result


def rank_errors(evidence: Evidence, seed: int) -> dict[str, np.ndarray]:
    """Cleanlab's scores of all labels by image features, the most doubtful with the largest; {} if not installed."""
    if find_spec("cleanlab") is None or evidence.images is None:
        return {}
    from cleanlab.rank import get_label_quality_scores

    said = read_held_out(find_points(evidence.images), evidence.given, evidence.num_classes, seed) + 1e-9
    said /= said.sum(1, keepdims=True)
    methods = ("self_confidence", "normalized_margin")
    return {f"cleanlab {m}": -get_label_quality_scores(evidence.given, said, method=m) for m in methods}


def vote(workers: dict[str, np.ndarray]) -> np.ndarray:
    """Dawid and Skene's model."""
    import pandas
    from crowdkit.aggregation import DawidSkene

    votes = []
    for name, named in workers.items():
        tasks = np.flatnonzero(named >= 0)
        votes.append(pandas.DataFrame({"task": tasks, "worker": name, "label": named[tasks]}))
    found = DawidSkene(n_iter=50).fit_predict(pandas.concat(votes))
    result = np.zeros(len(workers["label"]), int)
    result[found.index.to_numpy()] = found.to_numpy()
    return result


def read_as_before(evidence: Evidence, seed: int) -> np.ndarray:
    """The earlier reader of texts with its mixture; images have no say."""
    from earlier_reader.mixture import refine_with_mixture
    from earlier_reader.posterior import compute_posterior
    from earlier_reader.reader import read_texts, scale_features
    from earlier_reader.zero_shot import read_by_class_names

    block, labelled = evidence.texts[0], evidence.given >= 0
    vectors = np.where(block.rows[:, None] >= 0, block.vectors[np.maximum(block.rows, 0)], 0).astype(np.float32)
    features, names = scale_features(vectors, block.class_vectors)
    if labelled.any():
        reading = read_texts(features, evidence.given, evidence.num_classes, names, seed)
        found = compute_posterior(reading.probabilities, evidence.given, reading.calibration.channel)
    else:
        found = read_by_class_names(vectors, block.class_vectors)
    if not labelled.all():
        mixture = refine_with_mixture(features, found, labelled)
        found = np.where(labelled[:, None], found, (found + mixture) / 2)
    return found.argmax(1)


def say_missing() -> None:
    for name in list_missing():
        print(f"{name} is not installed and left out: pip install {name}", file=sys.stderr)
