"""`lint` shows pictures that lie in several classes."""

from collections.abc import Callable
from pathlib import Path

from gpt4image.describe import DescribeSettings, describe
from gpt4image.describe.lint.stage import LintSettings, lint


def test_pictures_in_two_classes_are_shown_until_one_copy_is_gone(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder, work = image_folder(4), tmp_path / "work"
    copy = folder / "dog/copy.jpg"
    copy.write_bytes((folder / "cat/0000.jpg").read_bytes())
    (tmp_path / "c.csv").write_text("path,text\ncat/0000.jpg,a\ndog/0001.jpg,b\n")
    settings = DescribeSettings(
        str(folder), work, describer="replay", file=tmp_path / "c.csv", field=("text",), describer_name="d"
    )
    describe(settings)
    finding = next(one for one in lint(LintSettings(work)).findings if one.check == "two classes")
    assert (finding.is_bad, finding.count, finding.words) == (True, 1, "1 picture lies in several classes")
    assert list(finding.examples) == ["cat/0000.jpg (cat) and dog/copy.jpg (dog)"]
    copy.unlink()
    describe(settings)
    assert "two classes" not in {one.check for one in lint(LintSettings(work)).findings}
