"""Accuracy against a share, and situations without labels, in comparison.json and on the page."""

import json
from pathlib import Path

import pytest

from gpt4image.compare.comparison import load_comparison
from gpt4image.compare.shares import find_shares
from gpt4image.report.stage import ReportSettings, report


def make_situation(name: str, top1: float, arms: tuple[str, ...] = ("baseline", "aligned"), **settings) -> dict:
    points = {
        arm: {"top1_mean": top1 + place, "top1_low": top1 + place - 2, "top1_high": top1 + place + 2, "runs": []}
        for place, arm in enumerate(arms)
    }
    return {"name": name, "settings": {"prompts": ["blind"], **settings}, "arms": points}


def test_a_series_is_what_differs_in_one_option_only() -> None:
    situations = [
        make_situation("all", 80),
        make_situation("5", 50, keep_labels=5),
        make_situation("half", 60, keep_labels=0.5),
        make_situation("none", 45, ("aligned",), keep_labels=0),
        make_situation("noisy", 55, wrong_labels=0.4),
        make_situation("5 and noisy", 40, keep_labels=5, wrong_labels=0.4),
    ]
    (series,) = find_shares(situations)
    assert series["option"] == "keep_labels"
    assert series["values"] == [0, 0.5, 5, 1]
    assert series["situations"] == ["none", "half", "5", "all"]
    assert series["arms"]["baseline"][0] is None
    assert series["arms"]["aligned"][3] == {"mean": 81, "low": 79, "high": 83}
    assert list(find_shares(situations[:2])) == []


def extend(folder: Path) -> Path:
    """The made comparison with a situation without labels, what was left out there, and a series."""
    path = folder / "comparison.json"
    record = json.loads(path.read_text())
    first = record["situations"][0]
    bare = {
        name: {**arm, "top1_low": 58.1, "top1_high": 61.9} for name, arm in first["arms"].items() if name != "baseline"
    }
    record["situations"].append(
        {
            **first,
            "name": "no labels",
            "arms": bare,
            "differences": {},
            "left_out": ["baseline, official: cannot train without labels"],
            "reference": {"situation": "clean labels", "arm": "baseline", "differences": first["differences"]},
            "verdict": "Without any label, what describers say gives 60.0 %.",
        }
    )
    steps = [make_situation(str(keep), 50 + place * 8, keep_labels=keep) for place, keep in enumerate((0, 5, 20, 1))]
    del steps[0]["arms"]["baseline"]
    record["shares"] = list(find_shares(steps))
    path.write_text(json.dumps(record))
    return folder


def test_the_page_shows_the_series_and_what_was_left_out(comparison: Path) -> None:
    result = report(ReportSettings(extend(comparison), look_inside=False))
    page = result.report.read_text(encoding="utf-8")
    assert "Accuracy by labels kept, share of all or number a class" in page
    assert page.count('<td class="n"><strong>') >= 7
    assert ">20</text>" in page
    assert ">all</text>" in page
    assert "Baseline, official: cannot train without labels." in page
    assert "over test images and seeds: aligned 58.1 to 61.9, shuffled 58.1 to 61.9.</p>" in page
    assert "Difference to baseline with clean labels, in points" in page
    loaded = load_comparison(comparison)
    assert loaded.situations[-1].reference.differences["aligned"].mean == pytest.approx(2.0)


if __name__ == "__main__":
    import sys

    report(ReportSettings(extend(Path(sys.argv[1]))))
