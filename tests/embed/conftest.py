"""A tiny sentence encoder in its real format, and work folders with descriptions."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from gpt4image.describe.store.rows import DescribedImage, Description
from gpt4image.describe.store.states import State
from gpt4image.describe.store.store import DescriptionStore

torch.set_num_threads(1)

WORDS = [f"word{number}" for number in range(60)]


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A sentence-transformers model of 20,000 parameters that reads 8 tokens; as `--encoder st:FOLDER`."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=65, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    BertModel(config).save_pretrained(folder / "bert")
    BertTokenizerFast(vocab=vocabulary).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=8)
    SentenceTransformer(modules=[transformer, Pooling(16)], device="cpu").save(str(folder / "sentence"))
    return f"st:{folder / 'sentence'}"


@pytest.fixture
def write_texts(tmp_path: Path) -> Callable[..., Path]:
    """Writes descriptions by digest into a work folder; a text of None is one that failed."""

    def write(
        texts: Mapping[str, str | None], prompt: str = "detailed", describer: str = "vlm", sample: int = 0
    ) -> Path:
        work = tmp_path / "work"
        with DescriptionStore.open(work, create=True) as store:
            store.write_images(DescribedImage(digest, f"{digest}.jpg", None) for digest in texts)
            store.write(
                Description(
                    digest, prompt, describer, sample, State.OK if text is not None else State.REFUSED, text or "no"
                )
                for digest, text in texts.items()
            )
        return work

    return write
