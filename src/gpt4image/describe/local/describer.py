"""The local describer: asks a transformers model in this process, batch by batch."""

import time
from collections.abc import Iterator, Sequence
from itertools import groupby, islice

from PIL import Image

from gpt4image.describe.asking.missing import Ask
from gpt4image.describe.asking.record import Answer, Recorder
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.local.model import LocalModel
from gpt4image.describe.prompts.places import Places
from gpt4image.describe.settings import DescribeSettings
from gpt4image.describe.store.states import State
from gpt4image.errors import UnreadableImageError
from gpt4image.images import ImageSet


def ask_local_model(
    settings: DescribeSettings, asks: Iterator[Ask], images: ImageSet, places: Places, recorder: Recorder
) -> str:
    """Asks the model of `settings`; the answers go to `recorder`.

    Returns:
        why the run stopped early, or "".

    Raises:
        ModelError: the model cannot be loaded.
    """
    assert settings.model is not None
    model = LocalModel(settings.model, settings.device, settings.temperature)
    for batch in _batches(asks, settings.batch_size):
        if reason := recorder.rules.reason(in_flight=0):
            return reason
        start = time.monotonic()
        pictures = _decode(batch, images, recorder)
        words = [places.render(ask.prompt, ask.index) for ask, _ in pictures]
        replies = model.describe([image for _, image in pictures], words, [ask for ask, _ in pictures])
        seconds = (time.monotonic() - start) / len(batch)
        for (ask, _), reply in zip(pictures, replies, strict=True):
            recorder.record(ask, Answer(reply, attempts=1, seconds=seconds))
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
            reply = Reply(State.UNREADABLE_IMAGE, error=str(error))
            recorder.record(ask, Answer(reply, attempts=0, seconds=0.0))
            continue
        image.thumbnail((side, side), Image.Resampling.BICUBIC)
        decoded.append((ask, image))
    return decoded
