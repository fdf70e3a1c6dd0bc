import pytest
import torch
from torch import nn

from gpt4image.errors import SettingsError
from gpt4image.train.objectives.projector import create_projector


def test_the_official_resnet_projector_has_batch_norm_and_no_bias_before_it() -> None:
    first, norm, activation, last = create_projector("mlp", 2048, 1024, norm=True, std=1024**-0.5)
    assert (first.in_features, first.out_features, first.bias) == (2048, 2048, None)
    assert isinstance(norm, nn.BatchNorm1d)
    assert isinstance(activation, nn.ReLU)
    assert (last.in_features, last.out_features) == (2048, 1024)
    assert last.bias is not None


def test_the_official_deit_projector_has_bias_and_no_batch_norm() -> None:
    first, activation, last = create_projector("mlp", 768, 512, norm=False, std=0.02)
    assert (first.in_features, first.out_features) == (768, 1024)
    assert first.bias is not None
    assert isinstance(activation, nn.ReLU)
    assert last.out_features == 512


@pytest.mark.parametrize("std", [0.02, 1024**-0.5])
def test_initial_weights_are_truncated_normal_and_biases_zero(std: float) -> None:
    torch.manual_seed(0)
    layer = create_projector("linear", 1000, 200, std=std)[0]
    # trunc_normal_ cuts at -2 and 2, far away from these, so the spread is that of the normal distribution.
    assert layer.weight.std().item() == pytest.approx(std, rel=0.01)
    assert layer.weight.mean().item() == pytest.approx(0, abs=std / 100)
    assert layer.bias.abs().max() == 0


def test_an_unknown_projector_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"'deep'.*choose mlp or linear"):
        create_projector("deep", 8, 8)
