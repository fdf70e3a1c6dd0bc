"""Which labels are doubtful, from a table made by hand."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gpt4image.label.artifact import LabelTable
from gpt4image.report.labels import doubts as module
from gpt4image.report.labels.doubts import find_doubts


def change(table: LabelTable, **columns: object) -> LabelTable:
    """The same table with other columns; strings are no longer a dictionary."""
    rows = table.rows.to_pandas()
    rows["state"] = rows["state"].astype(str)
    for name, values in columns.items():
        rows[name] = values
    rows.to_parquet(table.folder / "labels.parquet")
    return LabelTable(table.folder, table.manifest)


def test_ranked_by_doubt_and_open_ones_by_none(table: LabelTable) -> None:
    states = ["kept", "overruled", "by_person", "kept", "open", "open"]
    changed = change(
        table,
        state=states,
        given=["ant", "bee", "cat", "dog", None, None],
        doubt=np.array([-3, 2, 9, -1, np.nan, np.nan], dtype=np.float32),
        none=np.array([0, 0, 0, 0, 0.6, 0.8], dtype=np.float32),
    )
    found = find_doubts(changed)
    assert found.ranked.tolist() == [1, 3, 0]
    assert (found.num_overruled, found.num_by_person) == (1, 1)
    assert found.no_class.tolist() == [5, 4]
    assert (found.same_bytes, found.near_duplicates, found.threshold) == ([], [], None)


def test_same_bytes_with_the_same_label_are_no_contradiction(table: LabelTable) -> None:
    digests = table.rows["digest"].to_pylist()
    copies = [digests[0], digests[0], digests[2], digests[3], digests[2], digests[2]]
    changed = change(table, digest=copies, given=["ant", "ant", "bee", "cat", "dog", None])
    assert find_doubts(changed).same_bytes == [[2, 4]]


def test_of_many_images_the_most_doubtful_are_compared(
    label_maker: ModuleType, made_comparison: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = label_maker.make_labels(tmp_path)
    run = {"model": str(made_comparison / "runs" / "baseline-seed0"), "input_size": None}
    doubtful = change(table, doubt=np.arange(6, dtype=np.float32))
    wanted = LabelTable(table.folder, {**table.manifest, "features": run})
    monkeypatch.setattr(module, "MOST_COMPARED", 3)
    compared: list[np.ndarray] = []
    monkeypatch.setattr(
        module, "find_near_duplicates", lambda features, labels: (compared.append(labels) or [(0, 2, 0.9)], 0.8)
    )
    found = find_doubts(wanted)
    assert found.skipped == ["near-duplicates beyond the 3 most doubtful labels"]
    assert compared[0].tolist() == doubtful.numbers("given")[[5, 4, 3]].tolist()
    assert found.near_duplicates == [(5, 3, 0.9)]
