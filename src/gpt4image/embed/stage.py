"""The embed stage: every `ok` description gets a vector; what was embedded before is kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gpt4image.errors import DescriptionError, check_least
from gpt4image.files import check_folder_name
from gpt4image.progress import say
from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.embed.encoders.encoder import TextEncoder
    from gpt4image.embed.pending import PendingTable


SAMPLE_SIZE = 256


@dataclass(frozen=True)
class EmbedSettings:
    """Turn descriptions into text embeddings.

    Attributes:
        work: work folder with descriptions.sqlite
        encoder: text encoder: minilm, st:NAME_OR_PATH, open_clip:ARCH/TAG or endpoint:URL#MODEL
        prompt: only answers to these prompts; all descriptions, but no picks, if none is given
        describer: only descriptions by this describer
        class_names: class names to embed, or one JSON or CSV file of names and explanations as for describe; the
            classes of the described images if not given
        name: name of the table in WORK/embeddings; made from encoder, prompts and describer if not
            given
        batch_size: texts embedded between two writes
        device: auto, cpu, cuda, cuda:N or mps
        precision: to compute with; below fp32 only if a sample keeps a cosine above 0.999
        long_texts: texts longer than the encoder reads: cut them, or pool their sentences
        allow_remote: allow endpoints outside this machine and private networks
        api_key_env: environment variable that holds an endpoint's API key
        api_key_file: file that holds the API key instead, read again when it changes
        header: further headers for an endpoint as NAME=ENVIRONMENT_VARIABLE, such as api-key=AZURE_KEY
        ca_file: PEM file of an authority that vouches for the endpoint's certificate; SSL_CERT_FILE if not given
        max_wait: longest wait in seconds for an endpoint that asks to wait, or that is not there any more
        on: here, or ray: an encoder on each GPU or CPU of a Ray cluster (extra ray)
        ray_address: of the cluster; RAY_ADDRESS or else one on this machine if not given
        ray_workers: encoders on the cluster; as many as there is room for if not given
    """

    work: Path
    encoder: str = "minilm"
    prompt: tuple[str, ...] = ()
    describer: str | None = None
    class_names: tuple[str, ...] = ()
    name: str | None = None
    batch_size: int = 4096
    device: str = "auto"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    long_texts: Literal["cut", "pool"] = "cut"
    allow_remote: bool = False
    api_key_env: str = "OPENAI_API_KEY"
    api_key_file: Path | None = None
    header: tuple[str, ...] = ()
    ca_file: Path | None = None
    max_wait: float = 600.0
    on: Literal["here", "ray"] = "here"
    ray_address: str | None = None
    ray_workers: int | None = None

    def __post_init__(self) -> None:
        check_least(self, batch_size=1, ray_workers=1)
        if self.name is not None:
            check_folder_name(self.name)

    @property
    def full_encoder(self) -> str:
        """The encoder's name, and whether long texts are pooled."""
        return self.encoder + ("+pool" if self.long_texts == "pool" else "")

    @property
    def folder(self) -> Path:
        """Where the table is written."""
        words = [self.full_encoder, *self.prompt, *([self.describer] if self.describer else [])]
        return self.work / "embeddings" / (self.name or "-".join(words).translate(str.maketrans(":/#", "---")))


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
                " tokens and were cut; --long-texts pool, shorter descriptions or an encoder that reads more would help"
            )


def embed(settings: EmbedSettings) -> EmbedResult:
    """Embeds every `ok` description of a work folder that is not in the table yet.

    Raises:
        DescriptionError: there are no such descriptions, or another process writes the table.
        EncoderError: the encoder cannot be loaded.
        SettingsError: the file of class names cannot be used.
    """
    from gpt4image.describe.store.store import DescriptionStore
    from gpt4image.embed.class_names import load_class_words, read_class_words, save_class_vectors
    from gpt4image.embed.pending import PendingTable
    from gpt4image.embed.sources import read_texts
    from gpt4image.embed.table import finish_replacement
    from gpt4image.stopping import locked

    texts = read_texts(settings.work, settings.prompt, settings.describer)
    folder = settings.folder
    with locked(settings.work / f".locks/{folder.name}", f"{folder} is being written", DescriptionError):
        finish_replacement(folder)
        saved = load_class_words(folder)
        with DescriptionStore.open(settings.work) as store:
            words = read_class_words(settings.class_names, store.class_names(), saved)
        pending = PendingTable(folder, settings.full_encoder, texts)
        # A table that is written anew has no class names yet.
        if pending.missing or (words and not (pending.is_finished and words.items() <= saved.items())):
            with _encoder(settings, _sample(pending)) as encoder:
                if pending.missing:
                    pending.encode(encoder, settings.batch_size)
                table = pending.finish()
                save_class_vectors(folder, words, encoder)
        else:
            table = pending.finish()
    return EmbedResult(
        folder=folder,
        num_rows=len(table.vectors),
        num_new=pending.num_new,
        **{name: table.manifest[name] for name in ("num_truncated", "max_tokens", "dimension")},
    )


def _sample(pending: "PendingTable") -> list[str]:
    """Texts that stand for all, to try a precision with: missing ones, of all lengths."""
    rows = pending.missing or range(len(pending.texts))
    spread = rows[:: max(len(rows) // SAMPLE_SIZE, 1)]
    return pending.texts["text"].take(list(spread)).to_pylist()


@contextmanager
def _encoder(settings: EmbedSettings, sample: Sequence[str]) -> "Iterator[TextEncoder]":
    """The encoder of the settings, in this process or on a cluster."""
    from gpt4image.embed.encoders.encoder import Access
    from gpt4image.embed.encoders.load import load_encoder
    from gpt4image.embed.encoders.precision import lower_precision

    access = Access(
        settings.allow_remote,
        (settings.api_key_env,),
        (Path(settings.api_key_file),) if settings.api_key_file else (),
        settings.header,
        settings.ca_file,
        settings.max_wait,
    )
    if settings.on == "ray":
        from gpt4image.embed.encoders.on_ray import cluster_encoder

        place = settings.ray_address, settings.ray_workers
        with cluster_encoder(
            settings.full_encoder, settings.device, access, settings.precision, sample, *place
        ) as encoder:
            yield encoder
        return
    encoder = load_encoder(settings.full_encoder, settings.device, access)
    if settings.precision != "fp32":
        cosine = lower_precision(encoder, settings.precision, sample)
        say(f"{settings.precision}: the least cosine with fp32 among sample texts is {cosine:.5f}")
    yield encoder
