"""A situation's results for the terminal."""

from gpt4image.compare.table import make_table


def test_accuracy_over_classes_stands_beside_that_over_images() -> None:
    runs = [{"top1": 70.0, "macro": 60.0}, {"top1": 72.0, "macro": 64.0}]
    arms = {"baseline": {"runs": runs, "top1_mean": 71.0, "top1_std": 1.41}}
    table = make_table(
        {"name": "all labels", "arms": arms, "differences": {}, "reference": None, "without_labels": False}
    )
    cells = {column.header: list(column.cells) for column in table.columns}
    assert (cells["top-1 %"], cells["macro %"]) == (["71.00 ± 1.41"], ["62.00"])
