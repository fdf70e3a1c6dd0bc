import json
from dataclasses import replace
from pathlib import Path

import pytest

from gpt4image.errors import RunError
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
