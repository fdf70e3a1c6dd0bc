"""The local describer: asks a transformers model in this process, batch by batch."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

from PIL import Image

from gpt4image.describe.asking.missing import Ask, Wanted
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.local.model import LocalModel
from gpt4image.errors import UnreadableImageError
from gpt4image.images import ImageSet


@dataclass(frozen=True)
class LocalDescriber:
    """A transformers model.

    Attributes:
        model: its name on the Hugging Face hub, or a folder.
        device: `cuda`, `mps`, `cpu`, or `auto`.
        temperature: of the sampling, None for the model's own way of generating.
        batch_size: images at once.
    """

    model: str
    device: str = "auto"
    temperature: float | None = None
    batch_size: int = 8

    def answer(self, wanted: Wanted, recorder: Recorder) -> str:
        """As `Describer.answer`.

        Raises:
            ModelError: the model cannot be loaded.
        """
        model = LocalModel(self.model, self.device, self.temperature)
        for batch in _batches(wanted.asks(recorder.store), self.batch_size):
            if reason := recorder.rules.reason(in_flight=0):
                return reason
            start = time.monotonic()
            pictures = _decode(batch, wanted.images, recorder)
            replies = model.describe([image for _, image in pictures], [ask for ask, _ in pictures])
            seconds = (time.monotonic() - start) / len(batch)
            for (ask, _), reply in zip(pictures, replies, strict=True):
                recorder.record(ask, replace(reply, seconds=seconds))
        return ""


def _batches(asks: Iterator[Ask], batch_size: int) -> Iterator[Sequence[Ask]]:
    """Asks that are made the same way, at most `batch_size` together."""
    for _, alike in groupby(asks, key=lambda ask: (ask.request, ask.prompt.schema is None)):
        while batch := list(islice(alike, batch_size)):
            yield batch


def _decode(batch: Sequence[Ask], images: ImageSet, recorder: Recorder) -> list[tuple[Ask, Image.Image]]:
    """The images of a batch, scaled down; those that cannot be decoded are recorded at once."""
    decoded = []
    for ask in batch:
        side = ask.request.image_size
        try:
            image = images.decode(ask.index, draft_size=(side, side))
        except UnreadableImageError as error:
            recorder.record(ask, Reply.unreadable(error))
            continue
        image.thumbnail((side, side), Image.Resampling.BICUBIC)
        decoded.append((ask, image))
    return decoded
