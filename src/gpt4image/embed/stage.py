"""The embed stage: every `ok` description gets a vector; what was embedded before is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpt4image.results import StageResult


@dataclass(frozen=True)
class EmbedSettings:
    """Turn descriptions into text embeddings.

    Attributes:
        work: work folder with descriptions.sqlite
        encoder: text encoder: minilm, st:NAME_OR_PATH or open_clip:ARCH/TAG
        prompt: only descriptions of these prompts; all if none is given
        describer: only descriptions by this describer
        class_names: class names to embed; those of the described images if none is given
        name: name of the table in WORK/embeddings; made from encoder and prompts if not given
        batch_size: texts embedded between two writes
        device: PyTorch device, or auto
    """

    work: Path
    encoder: str = "minilm"
    prompt: tuple[str, ...] = ()
    describer: str | None = None
    class_names: tuple[str, ...] = ()
    name: str | None = None
    batch_size: int = 4096
    device: str = "auto"

    @property
    def folder(self) -> Path:
        """Where the table is written."""
        words = [self.encoder.replace(":", "-").replace("/", "-"), *self.prompt]
        return self.work / "embeddings" / (self.name or "-".join(words))


@dataclass(frozen=True)
class EmbedResult(StageResult):
    """What embedding did.

    Attributes:
        folder: the table.
        num_rows: descriptions in the table.
        num_new: of them embedded now.
        num_truncated: of them longer than the encoder reads.
        max_tokens: what the encoder reads of a text.
        dimension: width of the vectors.
    """

    folder: Path
    num_rows: int
    num_new: int
    num_truncated: int
    max_tokens: int
    dimension: int

    def lines(self) -> Iterator[str]:
        yield f"{self.num_rows} text embeddings of width {self.dimension} in {self.folder} ({self.num_new} new)"
        if self.num_truncated:
            share = 100 * self.num_truncated / self.num_rows
            yield (
                f"{self.num_truncated} descriptions ({share:.1f} %) are longer than the encoder's {self.max_tokens}"
                " tokens and were cut; ask for shorter descriptions or choose an encoder that reads more"
            )


def embed(settings: EmbedSettings) -> EmbedResult:
    """Embeds every `ok` description of a work folder that is not in the table yet.

    Raises:
        DescriptionError: there are no such descriptions.
        EncoderError: the encoder cannot be loaded.
    """
    from gpt4image.embed.class_names import load_class_vectors, save_class_vectors
    from gpt4image.embed.encoders import load_encoder
    from gpt4image.embed.pending import PendingTable
    from gpt4image.embed.sources import read_class_names, read_texts
    from gpt4image.embed.table import finish_replacement

    texts = read_texts(settings.work, settings.prompt, settings.describer)
    names = list(settings.class_names) or read_class_names(settings.work)
    folder = settings.folder
    finish_replacement(folder)
    pending = PendingTable(folder, settings.encoder, texts)
    if pending.missing or (names and load_class_vectors(folder, names) is None):
        encoder = load_encoder(settings.encoder, settings.device)
        if pending.missing:
            pending.encode(encoder, settings.batch_size)
        table = pending.finish()
        save_class_vectors(folder, names, encoder)
    else:
        table = pending.finish()
    return EmbedResult(
        folder=folder,
        num_rows=len(table.vectors),
        num_new=pending.num_new,
        num_truncated=table.manifest["num_truncated"],
        max_tokens=table.manifest["max_tokens"],
        dimension=table.manifest["dimension"],
    )
