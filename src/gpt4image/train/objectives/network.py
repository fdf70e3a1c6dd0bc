"""The model being trained: backbone with head, and the projector beside it."""

from jaxtyping import Float
from torch import Tensor, nn

from gpt4image.models.tap import FeatureTap


class AlignedNetwork(nn.Module):
    """A plain classifier whose pooled features also go through a projector.

    Args:
        backbone: any classifier; its own `forward` gives the logits.
        projector: from [B, F] to [B, D], or None for a plain model.
    """

    def __init__(self, backbone: nn.Module, projector: nn.Module | None) -> None:
        super().__init__()
        self.backbone, self.projector = backbone, projector
        self._tap = FeatureTap(backbone)
        self._features: Tensor | None = None

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B D"] | None]:
        """Returns logits, and projected features if there is a projector."""
        logits = self.backbone(pixels)
        self._features = self._tap.take()
        return logits, None if self.projector is None else self.projector(self._features)

    def take_features(self) -> Float[Tensor, "B F"]:
        """The image features of the last forward pass, once.

        They are no output: Accelerate turns outputs into float32 copies, through which no gradient of the losses goes.
        """
        features, self._features = self._features, None
        assert features is not None
        return features
