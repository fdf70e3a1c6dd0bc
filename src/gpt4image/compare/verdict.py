"""What a comparison shows, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpt4image.compare.arms import ARMS

ALPHA = 0.05
COARSE = 3.0
"""Points to either side from which an interval around 0 says little."""


@dataclass(frozen=True)
class Verdict:
    """A finding and the numbers behind it.

    Attributes:
        finding: such as "Text helps".
        numbers: the evidence.
        gain: points over the baseline, None if no method was compared.
        p: of the gain, see `PairedDifference`; None where nothing was tested.
    """

    finding: str
    numbers: str
    gain: float | None
    p: float | None = None

    def __str__(self) -> str:
        return f"{self.finding}: {self.numbers}." if self.numbers else f"{self.finding}."


def judge(differences: Mapping[str, Any], roles: Mapping[str, str]) -> Verdict:
    """The verdict of one situation.

    Args:
        differences: arm to `{mean, low, high}` against the baseline, in points.
        roles: arm to role.
    """
    methods = {arm: difference for arm, difference in differences.items() if roles[arm] == "method"}
    controls = {arm: difference for arm, difference in differences.items() if roles[arm] == "control"}
    main = methods.get("aligned") or next(iter(methods.values()), None)
    if main is None:
        return _judge_controls(controls)
    gain, interval, p = main["mean"], _interval(main), main.get("p")
    if main["high"] < 0:
        return Verdict("Text hurts here", interval, gain, p)
    if main["low"] <= 0:
        is_coarse = main["high"] - main["low"] > 2 * COARSE
        precision = ", but too few test images or seeds to rule one out" if is_coarse else ""
        return Verdict(f"No measurable gain{precision}", interval, gain, p)
    for arm, control in controls.items():
        if control["low"] > 0 and control["mean"] > gain / 2:
            numbers = f"{interval}, but the control {arm} gains {control['mean']:+.1f}"
            return Verdict(ARMS[arm].finding, numbers, gain, p)
    return Verdict("Text helps", interval, gain, p)


def judge_without_labels(
    accuracies: Mapping[str, Any], roles: Mapping[str, str], chance: float, labelled: Mapping[str, Any] | None
) -> Verdict:
    """The verdict of a situation in which no image has a label, so that there is no baseline.

    Args:
        accuracies: arm to `{mean, low, high}`, top-1 in percent.
        roles: arm to role.
        chance: percentage of test images in the most frequent class.
        labelled: arm to difference to the baseline with all labels, or None if that was not trained.
    """
    methods = [arm for arm in accuracies if roles[arm] == "method"]
    main = next((arm for arm in ("aligned", *methods) if arm in accuracies), None)
    if main is None:
        return Verdict("Without labels nothing was compared", "only descriptions and a reader of them can train", None)
    own = accuracies[main]
    numbers = f"95 % interval {own['low']:.1f} to {own['high']:.1f}, the most frequent class alone {chance:.1f}"
    if own["low"] <= chance:
        return Verdict(f"What describers say teaches nothing here, {own['mean']:.1f} %", numbers, None)
    for arm, control in accuracies.items():
        if roles[arm] == "control" and control["mean"] - chance > (own["mean"] - chance) / 2:
            finding = f"The control {arm} does nearly as well as {main}, be suspicious, {control['mean']:.1f} %"
            return Verdict(finding, f"{main} {own['mean']:.1f} %, {numbers}", None)
    if labelled:
        numbers += f"; against labels for all images {_interval(labelled[main])}"
    return Verdict(f"Without any label, what describers say gives {own['mean']:.1f} %", numbers, None)


def judge_all(verdicts: Mapping[str, Verdict]) -> str:
    """The verdict of the whole comparison: that of its situation, or one phrase for each.

    Of several situations one may look like a gain by chance; a phrase says where a gain or loss does not stand once all
    are read together (Holm 1979, a 5 % chance of a single wrong one).
    """
    if len(verdicts) == 1:
        return str(next(iter(verdicts.values())))
    together = adjust_by_holm({name: verdict.p for name, verdict in verdicts.items() if verdict.p is not None})
    phrases = []
    for name, verdict in verdicts.items():
        gain = "" if verdict.gain is None else f" ({verdict.gain:+.1f})"
        falls = verdict.p is not None and verdict.p <= ALPHA < together[name]
        alone = f", by itself; not with {len(together)} situations read together" if falls else ""
        phrases.append(f"{name[0].upper()}{name[1:]}: {verdict.finding[0].lower()}{verdict.finding[1:]}{gain}{alone}.")
    return " ".join(phrases)


def adjust_by_holm(values: Mapping[str, float]) -> dict[str, float]:
    """p-values of several tests, each as large as the share of chance findings calls for when all are looked at."""
    adjusted, largest = {}, 0.0
    for place, (name, p) in enumerate(sorted(values.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, (len(values) - place) * p))
        adjusted[name] = largest
    return adjusted


def _judge_controls(controls: Mapping[str, Any]) -> Verdict:
    for arm, control in controls.items():
        if control["low"] > 0:
            return Verdict(f"The control {arm} gains, be suspicious", _interval(control), None)
    return Verdict("No measurable gain", ", ".join(map(_interval, controls.values())), None)


def _interval(difference: Mapping[str, Any]) -> str:
    return f"{difference['mean']:+.1f} points (95 % interval {difference['low']:+.1f} to {difference['high']:+.1f})"
