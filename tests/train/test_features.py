"""What a run can be asked for beyond the usual: each option through the whole stage."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gpt4image.errors import SettingsError
from gpt4image.images import UNLABELLED
from gpt4image.label.situations.choose import choose_validation
from gpt4image.models import pixels
from gpt4image.runs import METRICS, PROJECTOR, WEIGHTS, load_manifest, load_model
from gpt4image.train import TrainSettings, train
from gpt4image.train.data.inputs import load_inputs
from gpt4image.train.objectives.network import AlignedNetwork
from gpt4image.train.optimizer import Schedule, create_optimizer

Tiny = Callable[..., TrainSettings]
Make = Callable[..., Path]

OWN_MODEL = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self, num_classes, width=6):
        super().__init__()
        self.body, self.out = nn.Linear(3 * 8 * 8, width), nn.Linear(width, num_classes)

    def forward(self, pixels):
        pooled = nn.functional.adaptive_avg_pool2d(pixels, 8).flatten(1)
        return self.out(self.body(pooled).tanh())

def make(num_classes, width=6):
    return Small(num_classes, width)
"""


@pytest.fixture
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    (tmp_path / "my_models.py").write_text(OWN_MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_models", raising=False)
    return {"model": "import:my_models:make", "model_kwargs": {"width": 6}}


def read_metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / METRICS).read_text().splitlines()]


def test_a_users_own_module_is_trained_and_loaded(
    make_photos: Make, make_table: Make, tiny: Tiny, own_model: dict[str, Any]
) -> None:
    photos = make_photos(8)
    run = train(tiny(photos, work=make_table(photos), epochs=1, **own_model)).run
    assert load_file(run / WEIGHTS).keys() == {"body.weight", "body.bias", "out.weight", "out.bias"}
    assert load_file(run / PROJECTOR)["0.weight"].shape == (8, 6)
    assert load_model(run, load_manifest(run))(torch.zeros(2, 3, 32, 32)).shape == (2, 2)


def test_accumulated_gradients_are_those_of_the_larger_batch(
    make_photos: Make, tiny: Tiny, own_model: dict[str, Any]
) -> None:
    """Without batch norm and text the loss is a mean over images, so steps of 4 must add up to steps of 8."""
    photos = make_photos(8)
    usual = {**own_model, "objective": "none", "epochs": 3, "optimizer": "sgd", "lr": 0.1}
    whole = load_file(train(tiny(photos, "whole", batch_size=8, **usual)).run / WEIGHTS)
    parts = load_file(train(tiny(photos, "parts", batch_size=4, grad_accum_steps=2, **usual)).run / WEIGHTS)
    assert all(parts[name] == pytest.approx(whole[name], abs=1e-6) for name in whole)


def test_the_average_of_the_weights_is_saved(make_photos: Make, tiny: Tiny, own_model: dict[str, Any]) -> None:
    """Against the recursion a <- d a + (1 - d) w over the weights after each update, one epoch being one update.

    d warms up: 1 - n^(-2/3) at update n, at most the decay that is asked for.
    """
    photos = make_photos(4)
    usual = {**own_model, "objective": "none", "schedule": "constant", "warmup_epochs": 0}
    usual |= {"optimizer": "sgd", "lr": 0.1}
    start = load_file(train(tiny(photos, "start", **{**usual, "epochs": 1, "lr": 1e-30})).run / WEIGHTS)
    after = [load_file(train(tiny(photos, f"e{n}", epochs=n, **usual)).run / WEIGHTS) for n in (1, 2, 3)]
    found = load_file(train(tiny(photos, "average", epochs=3, ema_decay=0.5, **usual)).run / WEIGHTS)
    for name, average in start.items():
        for number, weights in enumerate(after, start=1):
            decay = min(0.5, 1 - number ** (-2 / 3))
            average = decay * average + (1 - decay) * weights[name]
        assert found[name] == pytest.approx(average, abs=1e-5)


def test_layer_decay_slows_early_layers_and_not_the_projector(tiny: Tiny, tmp_path: Path) -> None:
    import timm

    backbone = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=24, num_heads=3)
    network = AlignedNetwork(backbone, torch.nn.Linear(24, 8))
    settings = tiny(tmp_path, layer_decay=0.5, schedule="step", warmup_epochs=0)
    optimizer = create_optimizer(settings, network)
    Schedule(settings, optimizer, 4).set_lr(0)
    lr = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert lr[id(network.projector.weight)] == lr[id(backbone.head.weight)] == 1e-2
    assert lr[id(backbone.blocks[0].mlp.fc1.weight)] == pytest.approx(0.5 * lr[id(backbone.blocks[1].mlp.fc1.weight)])
    assert len(lr) == len(list(network.parameters()))
    # Biases, norms and what the model names (position embeddings) do not decay.
    assert decay[id(backbone.pos_embed)] == decay[id(backbone.head.bias)] == 0
    assert decay[id(backbone.blocks[0].mlp.fc1.weight)] == settings.weight_decay


def test_muon_takes_the_matrices_of_the_model_and_not_those_of_the_projector(tiny: Tiny, tmp_path: Path) -> None:
    network = AlignedNetwork(torch.nn.Linear(24, 16), torch.nn.Linear(16, 8))
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    optimizer = create_optimizer(tiny(tmp_path, optimizer="muon"), network)
    network.projector(network.backbone(torch.randn(32, 24))).square().mean().backward()
    optimizer.step()
    orthogonalised = {id(p): state["use_muon"] for p, state in optimizer.state.items()}
    assert orthogonalised[id(network.backbone.weight)]
    assert not orthogonalised[id(network.projector.weight)]
    assert all(not torch.equal(weight, before[name]) for name, weight in network.named_parameters())


def test_the_learning_rate_is_scaled_to_the_images_an_update(tiny: Tiny, tmp_path: Path) -> None:
    settings = tiny(tmp_path, lr=0.1, lr_base_size=256, batch_size=512, grad_accum_steps=2)
    optimizer = create_optimizer(settings, AlignedNetwork(torch.nn.Linear(3, 2), None))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.4)


@pytest.mark.parametrize("name", ["step", "multistep"])
@pytest.mark.parametrize("epochs", [30, 300])
def test_steps_of_the_learning_rate_fit_the_length_of_the_run(
    tiny: Tiny, tmp_path: Path, name: str, epochs: int
) -> None:
    """In timm's they are meant for 300 epochs: in 30 the rate would never fall."""
    settings = tiny(tmp_path, lr=1.0, schedule=name, epochs=epochs, warmup_epochs=0)
    optimizer = create_optimizer(settings, AlignedNetwork(torch.nn.Linear(3, 2), None))
    schedule, found = Schedule(settings, optimizer, updates_per_epoch=10), []
    for share in (0.0, 0.29, 0.31, 0.59, 0.61, 0.89, 0.91):
        schedule.set_lr(round(share * 10 * epochs))
        found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01, 0.001])


@pytest.mark.parametrize("unit", ["update", "epoch"])
def test_the_cosine_schedule(tiny: Tiny, tmp_path: Path, unit: str) -> None:
    settings = tiny(tmp_path, lr=0.4, epochs=120, warmup_epochs=0, min_lr=1e-5, schedule_unit=unit)
    optimizer = create_optimizer(settings, AlignedNetwork(torch.nn.Linear(3, 2), None))
    schedule = Schedule(settings, optimizer, updates_per_epoch=10)
    for update in (0, 5, 10, 599, 1199):
        schedule.set_lr(update)
        progress = update / 1200 if unit == "update" else update // 10 / 120
        wanted = 1e-5 + (0.4 - 1e-5) * (1 + np.cos(np.pi * progress)) / 2
        assert optimizer.param_groups[0]["lr"] == pytest.approx(wanted)


def test_the_best_epoch_on_images_set_aside_is_saved(make_photos: Make, make_table: Make, tiny: Tiny) -> None:
    photos = make_photos(10)
    settings = tiny(photos, work=make_table(photos), validation_share=0.2, epochs=6, lr=0.3)
    result = train(settings)
    assert (result.num_images, result.num_described) == (16, 16)
    accuracy = [line["validation_top1"] for line in read_metrics(result.run)]
    model, inputs = load_model(result.run, load_manifest(result.run)), load_inputs(settings)
    assert not set(inputs.images.keys) & set(inputs.validation.keys)
    from gpt4image.models.predict import predict

    logits = predict(model, inputs.validation, load_manifest(result.run).data_config).logits
    found = 100 * (logits.argmax(1) == inputs.validation.labels).mean()
    assert found == pytest.approx(max(accuracy))


@pytest.mark.parametrize(("room", "num_decoded"), [(pixels.KEPT_BYTES, 4), (0, 12)])
def test_images_set_aside_are_decoded_once_or_by_the_same_workers(
    room: int, num_decoded: int, make_photos: Make, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, made = [], []
    whole, create = pixels.EvaluationImages.__getitem__, pixels.DataLoader
    monkeypatch.setattr(pixels.EvaluationImages, "__getitem__", lambda own, i: (seen.append(i), whole(own, i))[1])
    monkeypatch.setattr(pixels, "DataLoader", lambda *of, **how: (made.append(1), create(*of, **how))[1])
    monkeypatch.setattr(pixels, "_kept", {})
    monkeypatch.setattr(pixels, "KEPT_BYTES", room)
    train(tiny(make_photos(10), validation_share=0.2, epochs=3, objective="none"))
    assert (len(seen), len(made)) == (num_decoded, 1)


def test_images_are_set_aside_class_by_class() -> None:
    labels = np.array([0] * 40 + [1] * 20 + [UNLABELLED] * 10 + [2] * 3 + [3])
    aside = choose_validation(labels, 0.1, seed=0)
    assert [int(aside[labels == label].sum()) for label in (0, 1, UNLABELLED, 2, 3)] == [4, 2, 0, 1, 0]
    assert (aside == choose_validation(labels, 0.1, seed=0)).all()


def test_weights_to_start_from_and_a_warning_about_alignment(
    make_photos: Make, make_table: Make, tiny: Tiny, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    two, three = make_photos(8), make_photos(8, classes=("cat", "dog", "owl"), name="three")
    first = train(tiny(two, "first", objective="none", epochs=2)).run
    frozen = {"lr": 1e-30, "min_lr": 0.0, "epochs": 1, "weight_decay": 0.0, "warmup_epochs": 0}
    settings = tiny(three, "second", work=make_table(three), init_weights=first / WEIGHTS, **frozen)
    second = load_file(train(settings).run / WEIGHTS)
    before = load_file(first / WEIGHTS)
    assert torch.equal(second["conv1.0.weight"], before["conv1.0.weight"])
    assert second["fc.weight"].shape[0] == 3
    # `say` breaks no lines, but a test's console may be narrow.
    assert "lowered the accuracy of a strong pre-trained model" in " ".join(capsys.readouterr().err.split())

    train(replace(settings, run=tmp_path / "third", objective="none"))
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("objective", ["clip", "ctr", "byol", "textteacher"])
def test_every_objective_with_its_options(make_photos: Make, make_table: Make, tiny: Tiny, objective: str) -> None:
    photos = make_photos(8)
    settings = tiny(
        photos,
        work=make_table(photos),
        epochs=1,
        objective=objective,
        centring="whiten",
        related="positive",
        aug_repeats=2,
        mixup=0.8,
    )
    (line,) = read_metrics(train(settings).run)
    assert line["described_share"] == 1
    assert np.isfinite(line["loss_text"])
    assert line["text_weight"] > 0


def test_a_batch_too_small_to_compare_is_an_error(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--batch-size is 4; clip compares .*enlarge it, or choose byol or tokens"):
        tiny(tmp_path, work=tmp_path, batch_size=4)
    tiny(tmp_path, work=tmp_path, batch_size=4, objective="byol")


def test_odd_batches_cannot_be_mixed(make_photos: Make, tiny: Tiny) -> None:
    with pytest.raises(SettingsError, match="--batch-size is 7, 7 a process; mixup and cutmix need an even number"):
        train(tiny(make_photos(4), batch_size=7, mixup=0.5))


def test_tensorboard_shows_what_the_log_holds(make_photos: Make, tiny: Tiny) -> None:
    run = train(tiny(make_photos(8), objective="none", epochs=2, tracker="tensorboard")).run
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = {path.parent for path in run.rglob("events.out.tfevents*") if path.parent.name == "gpt4image"}
    events = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2]
    wanted = [line["loss"] for line in read_metrics(run)]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(wanted, abs=1e-5)


def test_a_tracker_that_does_not_start_is_one_clear_error(make_photos: Make, tiny: Tiny) -> None:
    photos = make_photos(4)
    run = train(tiny(photos, epochs=2, stop_after=1)).run
    (run / "gpt4image").write_text("where TensorBoard wants a folder")
    with pytest.raises(SettingsError, match=r"--tracker tensorboard does not start \(.*stand in .*metrics.jsonl"):
        train(tiny(photos, epochs=2, tracker="tensorboard"))


def test_a_tracker_that_is_not_installed_is_one_clear_error(make_photos: Make, tiny: Tiny) -> None:
    with pytest.raises(SettingsError, match=r"--tracker wandb is not installed; pip install 'gpt4image\[wandb\]'"):
        train(tiny(make_photos(4), tracker="wandb"))


def test_a_loss_that_is_no_number_stops_the_run(make_photos: Make, tiny: Tiny) -> None:
    from gpt4image.errors import RunError

    with pytest.raises(RunError, match=r"the loss is (nan|inf) after epoch \d; choose another run folder and a lower"):
        train(tiny(make_photos(8), objective="none", optimizer="sgd", lr=1e20, warmup_epochs=0, clip_grad=None))


@pytest.mark.parametrize("objective", ["none", "textteacher"])
def test_a_compiled_network_learns_the_same(make_photos: Make, make_table: Make, tiny: Tiny, objective: str) -> None:
    """With Dynamo's eager backend: the capture of the network is what may fail, and it takes seconds, not minutes."""
    compile_module = torch.nn.Module.compile
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Module, "compile", lambda module: compile_module(module, backend="eager"))
        assert_compiled_is_plain(make_photos(8), make_table, tiny, objective=objective)


def test_a_small_network_compiled_by_the_default_backend_learns_the_same(
    make_photos: Make, make_table: Make, tiny: Tiny, own_model: dict[str, Any]
) -> None:
    photos = make_photos(8)
    assert_compiled_is_plain(photos, make_table, tiny, objective="clip", **own_model)
    assert torch._dynamo.utils.counters["inductor"]


def assert_compiled_is_plain(photos: Path, make_table: Make, tiny: Tiny, **settings: Any) -> None:
    work = make_table(photos)
    runs = [
        train(tiny(photos, f"run{number}", work=work, epochs=2, compile=chosen, **settings)).run
        for number, chosen in enumerate((False, True))
    ]
    plain, compiled = (load_file(run / WEIGHTS) for run in runs)
    assert plain.keys() == compiled.keys()
    assert all(torch.allclose(compiled[name], plain[name], atol=1e-5) for name in plain)


def test_words_as_targets_need_no_embeddings(
    make_photos: Make, write_descriptions: Callable[[Path], Path], tiny: Tiny
) -> None:
    photos = make_photos(8)
    work = write_descriptions(photos)
    result = train(tiny(photos, work=work, objective="tokens", projector="linear", epochs=8))
    assert (result.num_images, result.num_described) == (16, 15)
    # The words a (in every description) and on have no weight; what is left are cat, dog, sofa and chair.
    words = load_file(result.run / PROJECTOR)["0.weight"].shape[0]
    metrics = read_metrics(result.run)
    assert words == 6
    assert metrics[-1]["loss_text"] < metrics[0]["loss_text"] < 1.1 * np.log(words)
