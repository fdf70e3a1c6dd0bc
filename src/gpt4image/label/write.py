"""Weighs what was collected and writes it down."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpt4image.images import UNLABELLED
from gpt4image.label.artifact import LabelTable, Opinions, save_labels
from gpt4image.label.collect import Collected
from gpt4image.label.methods import METHODS
from gpt4image.label.settings import LabelSettings
from gpt4image.label.weigh import Evidence, Weighed
from gpt4image.label.weigh.evidence import STATES


def write_labels(folder: Path, settings: LabelSettings, collected: Collected) -> LabelTable:
    """Writes the artifact of a work folder's labels."""
    import pyarrow as pa

    images, evidence = collected.images, collected.evidence
    weighed = METHODS[settings.method](evidence, settings.seed)
    names = np.array([*images.classes, None], dtype=object)
    states = np.array(STATES)[weighed.states]
    columns = {
        "key": images.keys,
        "digest": collected.digests,
        "given": names[evidence.given].tolist(),
        "picked": names[choose_picks(evidence)].tolist(),
        "proposed": names[weighed.proposed].tolist(),
        "confidence": _confidence(weighed),
        "state": pa.array(states).dictionary_encode(),
        "none": weighed.none.astype(np.float32),
        "doubt": weighed.doubt.astype(np.float32),
        "classes": _lists(weighed.classes.astype(np.int32)),
        "probabilities": _lists(weighed.values.astype(np.float16)),
    }
    if weighed.told is not None:
        columns["told"] = _lists(weighed.told)
    opinions = {name: Opinions(*opinion) for name, opinion in weighed.opinions.items()}
    return save_labels(folder, columns, opinions, _facts(settings, collected, weighed, Counter(states.tolist())))


def choose_picks(evidence: Evidence) -> np.ndarray:
    """int64 [N], the class that most describers named, the first of those named as often; -1 where none did."""
    picked = np.full(len(evidence.given), UNLABELLED, dtype=np.int64)
    if not evidence.picks:
        return picked
    votes = np.zeros((len(picked), evidence.num_classes), dtype=np.int32)
    for picks in evidence.picks:
        has = np.flatnonzero(picks.first >= 0)
        votes[has, picks.first[has]] += 1
    return np.where(votes.any(1), votes.argmax(1), UNLABELLED)


def _confidence(weighed: Weighed) -> np.ndarray:
    """Probability of what is proposed; of an open image, that of its likeliest class."""
    return (weighed.values[:, 0].astype(np.float32) * (1 - weighed.none)).astype(np.float32)


def _lists(values: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _facts(settings: LabelSettings, collected: Collected, weighed: Weighed, counted: Counter[str]) -> dict[str, Any]:
    classes, found = collected.images.classes, weighed.reliability
    spoilt = {"wrong_labels": settings.wrong_labels, "wrong_kind": settings.wrong_kind if settings.wrong_labels else ""}
    reliability = {"given labels": found["labels"], **found["witnesses"]} if "witnesses" in found else {}
    return {
        "classes": list(classes),
        "source": settings.images,
        "method": settings.method,
        "features": {"model": settings.features, "input_size": settings.input_size} if settings.uses_features else None,
        "situation": {"keep_labels": settings.keep_labels, **spoilt, "seed": settings.seed},
        "num_labelled": int((collected.evidence.given != UNLABELLED).sum()),
        "states": {state: counted[state] for state in STATES},
        "reliability": {name: _with_names(facts, classes) for name, facts in reliability.items()},
        "confusions": [
            {**one, "class": classes[one["class"]], "labelled": classes[one["labelled"]]}
            for one in found.get("confusions", [])
        ],
        "shares": dict(zip(classes, found["shares"], strict=True)) if "shares" in found else {},
        "found": {name: found[name] for name in ("hypothesis", "scores", "weights", "leaks") if name in found},
        "cannot_tell": [*collected.remarks, *found.get("cannot_tell", [])],
        "unreadable": collected.unreadable,
        "inputs": collected.inputs,
    }


def _with_names(facts: dict[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    return {**facts, "classes": dict(zip(classes, facts["classes"], strict=True))}
