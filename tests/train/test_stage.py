"""One call of train: what it needs, what it refuses, what it writes."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from gpt4image.errors import DescriptionError, ImageSetError, ModelError, RunError, SettingsError
from gpt4image.label import LabelSettings, label
from gpt4image.results import ExitStatus
from gpt4image.runs import METRICS, PROJECTOR, WEIGHTS, load_manifest, load_model
from gpt4image.train import TrainSettings, train
from gpt4image.train.data.inputs import load_inputs

Tiny = Callable[..., TrainSettings]
Make = Callable[..., Path]


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, "clip"), ({"pretrained": True}, "none"), ({"pretrained": True, "objective": "clip"}, "clip")],
)
def test_alignment_is_on_from_nothing_and_off_from_given_weights(given: dict, found: str) -> None:
    assert TrainSettings("photos", Path("run"), **given).objective == found
    assert TrainSettings("photos", Path("run"), **{"objective": "auto"} | given).objective == found


def test_a_run_is_a_plain_timm_model_with_its_story(make_photos: Make, make_table: Make, tiny: Tiny) -> None:
    photos = make_photos(10)
    settings = tiny(photos, work=make_table(photos), epochs=6)
    result = train(settings)
    assert (result.num_images, result.num_labelled, result.num_described) == (20, 20, 20)
    state = load_file(result.run / WEIGHTS)
    plain = timm.create_model("resnet10t", num_classes=2, **settings.model_kwargs)
    assert state.keys() == plain.state_dict().keys()
    assert load_file(result.run / PROJECTOR)
    manifest = load_manifest(result.run)
    assert manifest.classes == ["cat", "dog"]
    assert manifest.settings["objective"] == "clip"
    assert load_model(result.run, manifest)(torch.zeros(1, 3, 32, 32)).shape == (1, 2)
    metrics = [json.loads(line) for line in (result.run / METRICS).read_text().splitlines()]
    assert [line["epoch"] for line in metrics] == [1, 2, 3, 4, 5, 6]
    assert metrics[-1]["loss_label"] < metrics[0]["loss_label"]


def test_without_text_there_is_no_projector(make_photos: Make, tiny: Tiny) -> None:
    result = train(tiny(make_photos(8), epochs=1))
    assert result.num_described == 0
    assert not (result.run / PROJECTOR).exists()
    assert "loss_text" not in (result.run / METRICS).read_text()


def test_corrupt_images_are_left_out_without_shifting_any_pairing(
    make_photos: Make, make_table: Make, tiny: Tiny
) -> None:
    photos = make_photos(8)
    work = make_table(photos)
    before = load_inputs(tiny(photos, work=work))
    texts = {key: before.index.of(i).tolist() for i, key in enumerate(before.images.keys)}
    whole = (photos / "cat" / "003.png").read_bytes()
    (photos / "cat" / "003.png").write_bytes(whole[:100])
    (photos / "cat" / "000a.jpg").write_text("no image")
    result = train(tiny(photos, work=work, epochs=1))
    assert result.exit_status == ExitStatus.PARTLY
    assert set(load_manifest(result.run).unreadable) == {"cat/003.png", "cat/000a.jpg"}
    after = load_inputs(tiny(photos, work=work))
    assert {key: after.index.of(i).tolist() for i, key in enumerate(after.images.keys)} == {
        key: rows for key, rows in texts.items() if key != "cat/003.png"
    }


def test_a_changed_image_has_no_description(make_photos: Make, make_table: Make, tiny: Tiny) -> None:
    photos = make_photos(8)
    work = make_table(photos)
    (photos / "cat" / "000.png").write_bytes((photos / "dog" / "000.png").read_bytes())
    inputs = load_inputs(tiny(photos, work=work))
    row = {key: inputs.index.of(i).tolist() for i, key in enumerate(inputs.images.keys)}
    assert row["cat/000.png"] == row["dog/000.png"]


def test_descriptions_of_other_images_are_one_clear_error(make_photos: Make, make_table: Make, tiny: Tiny) -> None:
    work = make_table(make_photos(4, size=20, name="others"))
    with pytest.raises(DescriptionError, match=r"none of the 8 text embeddings .* 8 images .*describe and embed"):
        train(tiny(make_photos(4), work=work))


def test_which_table_must_be_clear(make_photos: Make, make_table: Make, tiny: Tiny, tmp_path: Path) -> None:
    photos = make_photos(4)
    with pytest.raises(DescriptionError, match="holds 0 tables of text embeddings; run gpt4image embed first"):
        train(tiny(photos, work=tmp_path))
    make_table(photos)
    work = make_table(photos, name="more")
    with pytest.raises(DescriptionError, match="choose one with --embeddings: more, texts"):
        train(tiny(photos, work=work))
    with pytest.raises(DescriptionError, match="holds no text embeddings; there are more, texts"):
        train(tiny(photos, work=work, embeddings="wrong"))


def test_other_settings_and_other_texts_are_refused(make_photos: Make, make_table: Make, tiny: Tiny) -> None:
    photos = make_photos(4)
    settings = tiny(photos, work=make_table(photos), epochs=1)
    train(settings)
    with pytest.raises(RunError, match=r"begun with --lr 0.01, not 0.5"):
        train(replace(settings, lr=0.5))
    make_table(photos, texts_of=lambda key: 2)
    with pytest.raises(RunError, match="begun with texts hash"):
        train(settings)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"model": "resnet10"}, ModelError, "timm has no model 'resnet10'; did you mean resnet10t"),
        ({"model": "import:nowhere:make"}, ModelError, "cannot be imported"),
        ({"model_kwargs": {"depth": 3}}, ModelError, "cannot be created.*depth"),
        ({"optimizer": "adamq"}, SettingsError, "--optimizer is 'adamq'"),
        ({"schedule": "zigzag"}, SettingsError, "--schedule is 'zigzag'"),
        ({"schedule": "plateau"}, SettingsError, "--schedule is 'plateau'; choose cosine, tanh"),
        ({"schedule": "none"}, SettingsError, "--schedule is 'none'; choose cosine, tanh"),
        ({"rand_augment": "random"}, SettingsError, "--rand-augment is 'random'"),
    ],
)
def test_unknown_names_are_one_clear_error(
    make_photos: Make, tiny: Tiny, changes: dict, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        train(tiny(make_photos(4), **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "--epochs is 0; it must be at least 1"),
        ({"lr": 0.0}, "--lr is 0.0; it must be above 0"),
        ({"smoothing": 1.5}, "--smoothing is 1.5; it must be between 0 and 1"),
        ({"min_scale": 0.0}, "--min-scale is 0.0; it must be above 0 and at most 1"),
        ({"embeddings": "texts"}, "--embeddings needs --work"),
        ({"interpolation": "sharp"}, "--interpolation is sharp; it must be one of nearest, bilinear"),
        ({"interpolation": "random"}, "--interpolation is random; it must be one of nearest, bilinear"),
    ],
)
def test_values_that_are_not_allowed(tmp_path: Path, tiny: Tiny, changes: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        tiny(tmp_path, **changes)


def test_more_images_an_update_than_there_are_is_said(
    make_photos: Make, tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny(make_photos(4), batch_size=4, grad_accum_steps=8, epochs=1))
    assert "an update takes 32 images and there are 8: an epoch is one update and 4 passes" in capsys.readouterr().err


def test_images_without_classes_are_refused(make_photos: Make, tiny: Tiny) -> None:
    with pytest.raises(ImageSetError, match="has 1 classes; training needs at least 2"):
        train(tiny(make_photos(4, classes=("cat",))))


def test_only_described_images_still_teach(make_photos: Make, make_table: Make, tiny: Tiny) -> None:
    photos = make_photos(8)
    work = make_table(photos)
    label(LabelSettings(str(photos), work, prompts=("none",), features="none", keep_labels=0.25))
    result = train(tiny(photos, work=work, labels="default", targets="given", described=0.5, epochs=1))
    assert (result.num_images, result.num_labelled, result.num_described) == (16, 4, 8)


def test_a_mistake_is_said_once_under_torchrun(
    make_photos: Make, tiny: Tiny, start_train: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = start_train(tiny(make_photos(4), work=tmp_path / "none"), processes=2)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert output.count("holds 0 tables of text embeddings") == 1
    assert "gpt4image train: the first process failed; see its message" in output
