"""What enters a model's classifier: the pooled features of any timm model, or of a user's own module."""

from threading import get_ident

import torch
from torch import nn

from gpt4image.errors import ModelError


class FeatureTap:
    """Keeps what enters the classifier during a plain forward pass: the pooled features [B, F].

    The backbone's own `forward` runs unchanged, so logits are those of the plain model whatever the architecture.
    Each thread has its own features.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._features: dict[int, torch.Tensor] = {}
        self._hook = find_classifier(backbone).register_forward_pre_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        features = inputs[0]
        self._features[get_ident()] = features.flatten(2).mean(2) if features.ndim == 4 else features

    def take(self) -> torch.Tensor:
        """Returns the features [B, F] of the last forward pass, once."""
        features = self._features.pop(get_ident(), None)
        if features is None or features.ndim != 2:
            raise ModelError("the model's classifier was given no pooled features [B, F]; choose another model")
        return features

    def close(self) -> None:
        """Leaves the backbone as it was."""
        self._hook.remove()


def find_classifier(backbone: nn.Module) -> nn.Module:
    """The module that turns pooled features into logits.

    Raises:
        ModelError: the model names none.
    """
    classifier = backbone.get_classifier() if hasattr(backbone, "get_classifier") else None  # type: ignore[operator]
    if isinstance(classifier, (tuple, list)):
        classifier = classifier[0]
    if classifier is None:
        linears = [module for module in backbone.modules() if isinstance(module, nn.Linear)]
        classifier = linears[-1] if linears else None
    if not isinstance(classifier, nn.Module) or isinstance(classifier, nn.Identity):
        raise ModelError(
            f"{type(backbone).__name__} has no classifier after pooled features; choose a classification model"
        )
    return classifier


@torch.no_grad()
def count_features(backbone: nn.Module, input_size: int, in_chans: int = 3) -> int:
    """Width F of the pooled features, found by one forward pass of a black image."""
    tap = FeatureTap(backbone)
    was_training = backbone.training
    backbone.eval()(torch.zeros(1, in_chans, input_size, input_size))
    backbone.train(was_training)
    tap.close()
    return tap.take().shape[1]
