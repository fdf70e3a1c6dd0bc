"""The projector from image features to text embeddings; it is thrown away after training."""

from torch import nn

from gpt4image.errors import SettingsError


def create_projector(
    kind: str, num_features: int, dimension: int, norm: bool = True, std: float = 0.02
) -> nn.Sequential:
    """Creates a projector.

    Args:
        kind: `linear`, or `mlp` as in the official code: Linear(F, 2D) - BatchNorm - ReLU - Linear(2D, D).
        num_features: width F of the image features.
        dimension: width D of the text embeddings.
        norm: with batch norm and without bias before it (the official ResNet recipe), or the reverse (DeiT).
        std: of the truncated normal distribution of the initial weights.
    """
    if kind == "linear":
        projector = nn.Sequential(nn.Linear(num_features, dimension))
    elif kind == "mlp":
        hidden = 2 * dimension
        first = nn.Linear(num_features, hidden, bias=not norm)
        layers = [first, nn.BatchNorm1d(hidden)] if norm else [first]
        projector = nn.Sequential(*layers, nn.ReLU(inplace=True), nn.Linear(hidden, dimension))
    else:
        raise SettingsError(f"--projector is {kind!r}; choose mlp or linear")
    for module in projector.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return projector
