"""The demo's two parts share a work folder: texts are embedded once, and what has one name is one and the same."""

from importlib.resources import files
from pathlib import Path

from gpt4image.demo.stage import DemoSettings, _recipe


def test_what_both_parts_need_is_made_once(tmp_path: Path) -> None:
    settings = DemoSettings(tmp_path, seeds=2)
    frozen, from_nothing = (
        _recipe(Path(str(files("gpt4image.demo"))), name, settings) for name in ("frozen", "from_nothing")
    )
    for one in (frozen, from_nothing):
        assert (one.work, one.seeds) == (tmp_path / "work", 2)
    for name in ("images", "test_images", "describe", "embed", "label"):
        assert getattr(frozen, name) == getattr(from_nothing, name)
    theirs = {situation.folder: situation for situation in frozen.situations}
    shared = [one for one in from_nothing.situations if one.folder in theirs]
    assert len(shared) == 2
    for one in shared:
        assert (one.prompts, one.labels) == (theirs[one.folder].prompts, theirs[one.folder].labels)
    prompts = {prompt for one in (*frozen.situations, *from_nothing.situations) for prompt in one.prompts}
    assert prompts == set(frozen.embed["prompt"])
