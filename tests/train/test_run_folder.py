import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gpt4image.errors import RunError
from gpt4image.runs import CHECKPOINT
from gpt4image.train.run_folder import MetricsLog, claim_run
from gpt4image.train.settings import TrainSettings

CONTENT = {"images hash": "a", "texts hash": None}


@pytest.fixture
def settings(tmp_path: Path) -> TrainSettings:
    return TrainSettings("photos", tmp_path / "run")


def test_the_same_settings_claim_a_run_again_elsewhere_and_with_other_workers(settings: TrainSettings) -> None:
    claim_run(settings, CONTENT)
    claim_run(replace(settings, workers=4, stop_after=3, work=Path("moved")), CONTENT)


def test_a_run_begun_before_a_setting_existed_has_its_default(settings: TrainSettings) -> None:
    claim_run(settings, CONTENT)
    path = settings.run / "settings.yaml"
    path.write_text("".join(line for line in path.open() if "grad_accum_steps" not in line))
    claim_run(settings, CONTENT)
    path.write_text("".join(line for line in path.open() if "grad_accum_steps" not in line))
    with pytest.raises(RunError, match="begun with --grad-accum-steps 1, not 2"):
        claim_run(replace(settings, grad_accum_steps=2), CONTENT)


@pytest.mark.parametrize(("name", "value"), [("lr", 0.5), ("seed", 1), ("model", "vit"), ("objective", "ctr")])
def test_other_settings_are_refused(settings: TrainSettings, name: str, value: object) -> None:
    claim_run(settings, CONTENT)
    with pytest.raises(RunError, match=rf"begun with --{name} .*, not {value}; choose another folder"):
        claim_run(replace(settings, **{name: value}), CONTENT)


def test_other_images_or_texts_are_refused(settings: TrainSettings) -> None:
    claim_run(settings, CONTENT)
    with pytest.raises(RunError, match="begun with texts hash None, not b"):
        claim_run(settings, {**CONTENT, "texts hash": "b"})


@pytest.mark.parametrize(("name", "value"), [("compile", True), ("deterministic", True), ("device", "cuda:1")])
def test_what_changes_the_last_digits_is_said_where_a_run_goes_on(
    settings: TrainSettings, name: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(settings, device="cpu")
    claim_run(settings, CONTENT)
    (settings.run / CHECKPOINT).parent.mkdir()
    (settings.run / CHECKPOINT).touch()
    claim_run(replace(settings, **{name: value}), CONTENT)
    said = " ".join(capsys.readouterr().err.split())
    assert f"other last digits than it began with: {name} {getattr(settings, name)} to {value}" in said


def test_a_folder_with_other_things_in_it_is_refused(settings: TrainSettings) -> None:
    settings.run.mkdir()
    (settings.run / "thesis.tex").touch()
    with pytest.raises(RunError, match="is not empty and is no run"):
        claim_run(settings, CONTENT)


def test_metrics_after_the_checkpoint_are_dropped_even_half_a_line(tmp_path: Path) -> None:
    lines = [json.dumps({"epoch": epoch, "loss": 1 / epoch}) for epoch in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"epoch": 4, "lo']), encoding="utf-8")
    MetricsLog(tmp_path, finished_epochs=2).write({"epoch": 3, "loss": 0.25})
    found = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert found == [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}, {"epoch": 3, "loss": 0.25}]


def test_a_run_that_was_killed_before_its_settings_were_there_goes_on(settings: TrainSettings) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    settings.run.mkdir()
    left_over = settings.run / f".settings.yaml.{dead.pid}.tmp"
    left_over.write_text("settings: {")
    claim_run(settings, CONTENT)
    assert [path.name for path in settings.run.iterdir()] == ["settings.yaml"]


@pytest.mark.parametrize("content", ["settings: {", "[]", "settings: {}", "\x00"])
def test_damaged_settings_are_named_with_what_to_do(settings: TrainSettings, content: str) -> None:
    claim_run(settings, CONTENT)
    (settings.run / "settings.yaml").write_text(content)
    with pytest.raises(RunError, match=r"settings.yaml is damaged \(.*\); delete it, and the command that wrote it"):
        claim_run(settings, CONTENT)


def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path: Path) -> None:
    import torch

    from gpt4image.train.checkpoint import load_checkpoint, save_checkpoint

    path = tmp_path / "last.pt"
    save_checkpoint(path, 3, {"network": torch.nn.Linear(2, 2)})
    data = path.read_bytes()
    for damaged in (data[: len(data) // 2], b"", b"garbage"):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match=r"last.pt is damaged \(.*\); delete it, and the command that wrote it"):
            load_checkpoint(path, {"network": torch.nn.Linear(2, 2)})


def test_a_checkpoint_of_another_model_is_told_on_one_line(tmp_path: Path) -> None:
    import torch

    from gpt4image.train.checkpoint import load_checkpoint, save_checkpoint

    save_checkpoint(tmp_path / "last.pt", 3, {"network": torch.nn.Linear(4, 2)})
    network = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Linear(2, 2))
    with pytest.raises(RunError, match="is of another model") as refused:
        load_checkpoint(tmp_path / "last.pt", {"network": network})
    assert "\n" not in str(refused.value)
    assert "Missing key" in str(refused.value)


def test_damaged_lines_of_metrics_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b'{"epoch": 1}\n{"epo\xff": 2}\n[}\n{"epoch": "x"}\n{"epoch": 2}\n')
    MetricsLog(tmp_path, finished_epochs=2)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"epoch": 1}\n{"epoch": 2}\n'
