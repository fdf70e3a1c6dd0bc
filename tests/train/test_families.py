"""One model of each family learns from labels and texts, and stays a plain timm model."""

from typing import Any

import pytest
import timm
import torch

from gpt4image.errors import ModelError
from gpt4image.models.create import create_model
from gpt4image.models.tap import count_features
from gpt4image.train.objectives.network import AlignedNetwork
from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.pairs import Shown
from gpt4image.train.objectives.projector import create_projector
from gpt4image.train.targets.source import Targets

SWIN = {"embed_dim": 24, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 2), "window_size": 2}
FAMILIES: list[tuple[str, int, dict[str, Any]]] = [
    ("resnet10t", 32, {"channels": [8, 8, 16, 24]}),
    ("resnext26ts", 32, {}),
    ("mobilenetv4_conv_small_035", 32, {}),
    ("efficientnet_lite0", 32, {}),
    ("convnext_atto", 32, {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}),
    ("deit_tiny_patch16_224", 32, {"depth": 2}),
    ("deit_tiny_distilled_patch16_224", 32, {"depth": 2}),
    ("vit_tiny_patch16_224", 48, {"depth": 2, "global_pool": "avg"}),
    ("swin_tiny_patch4_window7_224", 32, SWIN),
    ("xcit_nano_12_p16_224", 32, {"depth": 1}),
    ("maxvit_rmlp_pico_rw_256", 64, {}),
]


@pytest.mark.parametrize(("name", "size", "kwargs"), FAMILIES, ids=[name for name, _, _ in FAMILIES])
def test_a_family(name: str, size: int, kwargs: dict[str, Any]) -> None:
    torch.manual_seed(0)
    backbone = create_model(name, 3, size, kwargs=kwargs)
    names = list(backbone.state_dict())
    num_features = count_features(backbone, size)
    network = AlignedNetwork(backbone, create_projector("mlp", num_features, 6))
    pixels = torch.randn(4, 3, size, size)

    network.train()
    logits, projected = network(pixels)
    features = network.take_features()
    assert (logits.shape, features.shape, projected.shape) == ((4, 3), (4, num_features), (4, 6))
    classes = torch.eye(3)[[0, 1, 2, 0]]
    shown = Shown.whole(torch.arange(4), classes)
    targets = Targets(classes, torch.randn(4, 6), torch.ones(4, dtype=torch.bool), shown)
    Objective("clip", 0.3)(logits, features, projected, targets).total.backward()
    lacking = [key for key, value in network.named_parameters() if value.grad is None and "head_dist" not in key]
    assert not lacking

    assert list(backbone.state_dict()) == names
    size_argument = {"img_size": size} if "patch" in name or "maxvit" in name else {}
    plain = timm.create_model(name, num_classes=3, **size_argument, **kwargs)
    plain.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        assert torch.equal(network.eval()(pixels)[0], plain.eval()(pixels))


def test_features_are_what_timm_calls_pooled() -> None:
    backbone = create_model("resnet10t", 3, 32, kwargs={"channels": [8, 8, 16, 24]})
    network = AlignedNetwork(backbone, None).eval()
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        network(pixels)
        wanted = backbone.forward_head(backbone.forward_features(pixels), pre_logits=True)
    assert torch.equal(network.take_features(), wanted)


def test_a_model_without_classifier_is_refused() -> None:
    with pytest.raises(ModelError, match="has no classifier after pooled features"):
        count_features(create_model("resnet10t", 0, 32), 32)
