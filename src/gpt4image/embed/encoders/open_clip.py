"""The text tower of a CLIP model through open_clip (extra `clip`)."""

from collections.abc import Sequence

import numpy as np

from gpt4image.embed.encoders.batches import batches_of
from gpt4image.embed.encoders.encoder import DTYPES, Precision
from gpt4image.errors import EncoderError


class OpenClipEncoder:
    """A CLIP text tower; the paper's are `RN50/openai` (1024-d) and `ViT-L-14/openai` (768-d)."""

    texts_at_once = 1024

    def __init__(self, name: str, source: str, device: str) -> None:
        try:
            import open_clip
        except ImportError as error:
            raise EncoderError(f"text encoder {name!r} needs open_clip; pip install 'gpt4image[clip]'") from error
        from gpt4image.models.machine import choose_device

        self.name = name
        architecture, _, tag = source.partition("/")
        if architecture not in open_clip.list_models():
            raise EncoderError(f"open_clip has no architecture {architecture!r}; open_clip.list_models() names all")
        self._device = choose_device(device)
        try:
            model = open_clip.create_model(architecture, pretrained=tag or None, device=self._device)
        except (OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise EncoderError(f"text encoder {name!r} cannot be loaded ({reason}); check the tag after '/'") from error
        self._model = model.eval()
        self._tokenizer = open_clip.get_tokenizer(architecture)
        self.max_tokens = int(model.context_length)
        self.dimension = int(self.encode(["a"]).shape[1])

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        batches = (self._tokenizer(batch).to(self._device) for batch in batches_of(list(texts), 64))
        with torch.inference_mode():
            vectors = [self._model.encode_text(batch).float() for batch in batches]
            return torch.nn.functional.normalize(torch.cat(vectors), dim=-1).cpu().numpy()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(self._tokenizer.encode(text)) + 2 for text in texts]

    def lower_precision(self, precision: Precision) -> None:
        """Computes with `precision` from now on."""
        import torch

        self._model.to(getattr(torch, DTYPES[precision]))
