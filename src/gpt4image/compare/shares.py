"""Accuracy against a share: situations that differ in one option only, such as 5, 10, 20 and 50 labels a class."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

USUAL = {"keep_labels": 1.0, "wrong_labels": 0.0, "described": 1.0}
"""Options that are shares, with the value that a situation has if it does not say."""
FEWEST = 3


def find_shares(situations: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The series of at least three values of an option, one entry an option and the rest of the settings.

    Args:
        situations: entries of comparison.json.

    Yields:
        `option`, `values` ascending (all labels come last), names of the `situations`, and for each arm that all have
        a list of `{mean, low, high}`, top-1 in percent.
    """
    for option, usual in USUAL.items():
        series: dict[str, list[tuple[float, Mapping[str, Any]]]] = {}
        for situation in situations:
            settings = dict(situation["settings"])
            value = float(settings.pop(option, usual))
            series.setdefault(repr(sorted(settings.items())), []).append((value, situation))
        for found in series.values():
            if len({value for value, _ in found}) >= FEWEST:
                # All labels (1) are more than any number a class.
                ordered = sorted(found, key=lambda one: (option == "keep_labels" and one[0] == 1, one[0]))
                yield _to_series(option, ordered)


def accuracy_of(arm: Mapping[str, Any]) -> dict[str, float]:
    """Top-1 of an arm in percent, with its interval: `{mean, low, high}`."""
    return {end: arm[f"top1_{end}"] for end in ("mean", "low", "high")}


def _to_series(option: str, found: Sequence[tuple[float, Mapping[str, Any]]]) -> dict[str, Any]:
    arms = [one["arms"] for _, one in found]
    return {
        "option": option,
        "values": [value for value, _ in found],
        "situations": [one["name"] for _, one in found],
        "arms": {
            name: [accuracy_of(own[name]) if name in own else None for own in arms]
            for name in dict.fromkeys(name for own in arms for name in own)
        },
    }
