"""What a comparison shows, in one sentence."""

from collections.abc import Mapping, Sequence
from typing import Any


def judge(differences: Mapping[str, Any], roles: Mapping[str, str]) -> str:
    """The verdict of one situation.

    Args:
        differences: arm to `{mean, low, high}` against the baseline, in points.
        roles: arm to role.
    """
    methods = {arm: difference for arm, difference in differences.items() if roles[arm] == "method"}
    controls = {arm: difference for arm, difference in differences.items() if roles[arm] == "control"}
    main = methods.get("aligned") or next(iter(methods.values()), None)
    if main is None:
        gained = [arm for arm, difference in controls.items() if difference["low"] > 0]
        return f"The control {gained[0]} gains: be suspicious." if gained else "No measurable gain."
    interval = f"{main['mean']:+.1f} points (95 % interval {main['low']:+.1f} to {main['high']:+.1f})"
    if main["high"] < 0:
        return f"Text hurts here: {interval}."
    if main["low"] <= 0:
        return f"No measurable gain: {interval}."
    for arm, control in controls.items():
        if control["low"] > 0 and control["mean"] > main["mean"] / 2:
            return (
                f"A gain of {interval}, but the control {arm} gains {control['mean']:+.1f}: "
                "this is regularisation more than text."
            )
    return f"Text helps: {interval}."


def judge_all(names: Sequence[str], verdicts: Sequence[str]) -> str:
    """The verdict of the whole comparison."""
    if len(verdicts) == 1:
        return verdicts[0]
    return " ".join(
        f"With {name}: {verdict[0].lower()}{verdict[1:]}" for name, verdict in zip(names, verdicts, strict=True)
    )
