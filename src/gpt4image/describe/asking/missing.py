"""What is still to be asked: compares the wanted descriptions with those in the store."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import compress

import numpy as np

from gpt4image.describe.asking.digest_set import DigestSet
from gpt4image.describe.prompts.parse import Prompt
from gpt4image.describe.store.states import SETTLED, State
from gpt4image.describe.store.store import Description, DescriptionStore
from gpt4image.images import ImageSet, Scan

BATCH_SIZE = 500


class Thinking(StrEnum):
    """Whether a model that can think before it answers shall do so."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Request:
    """The part of a request that a repair may change.

    Attributes:
        max_tokens: limit of the reply's length, thinking included.
        image_size: longest side of the image in pixels.
        thinking: whether the model shall think first.
    """

    max_tokens: int
    image_size: int
    thinking: Thinking = Thinking.AUTO


@dataclass(frozen=True, slots=True)
class Ask:
    """One description to be asked for: image number `index`, one prompt, one sample; `old` is what it replaces."""

    index: int
    digest: str
    prompt: Prompt
    sample: int
    request: Request
    old: Description | None = None


@dataclass(frozen=True)
class _Line:
    """One prompt and sample number, and the digests that need nothing more of it."""

    prompt: Prompt
    sample: int
    settled: DigestSet


@dataclass(frozen=True)
class Wanted:
    """All descriptions a run wants.

    Attributes:
        images: the images.
        scan: their digests.
        indices: int64, the images to be described, each digest once.
        prompts: what to ask.
        samples: how often each prompt is asked.
        describer: who is asked.
        request: how.
        retry_failed: whether failed ones are asked again, repaired.
    """

    images: ImageSet
    scan: Scan
    indices: np.ndarray
    prompts: Sequence[Prompt]
    samples: int
    describer: str
    request: Request
    retry_failed: bool = False

    def __len__(self) -> int:
        return len(self.indices) * len(self.prompts) * self.samples

    def asks(self, store: DescriptionStore) -> Iterator[Ask]:
        """Yields what is missing or to be redone, image by image, in nearly constant memory."""
        lines = [
            _Line(prompt, sample, DigestSet(store.settled_digests(prompt.name, self.describer, sample)))
            for prompt in self.prompts
            for sample in range(self.samples)
        ]
        for start in range(0, len(self.indices), BATCH_SIZE):
            yield from self._asks_of(self.indices[start : start + BATCH_SIZE].tolist(), lines, store)

    def _asks_of(self, batch: Sequence[int], lines: Sequence[_Line], store: DescriptionStore) -> Iterator[Ask]:
        """The asks of some images; most images are usually settled and are not looked up."""
        digests = [self.scan.digests[index] for index in batch]
        settled = [line.settled.contains(digests) for line in lines]
        known = [
            store.find(list(compress(digests, ~mask)), line.prompt.name, self.describer, line.sample)
            for line, mask in zip(lines, settled, strict=True)
        ]
        for position in np.flatnonzero(~np.all(settled, axis=0)).tolist():
            for line, mask, found in zip(lines, settled, known, strict=True):
                if not mask[position]:
                    digest = digests[position]
                    yield from self._ask(batch[position], digest, line.prompt, line.sample, found.get(digest))

    def _ask(self, index: int, digest: str, prompt: Prompt, sample: int, old: Description | None) -> Iterator[Ask]:
        request = next_request(old, self.request, self.retry_failed)
        if request is not None:
            yield Ask(index, digest, prompt, sample, request, old)

    def count(self, store: DescriptionStore) -> Counter[str]:
        """How many descriptions are `kept`, `redo` and `new`."""
        counted = Counter("new" if ask.old is None else "redo" for ask in self.asks(store))
        counted["kept"] = len(self) - counted.total()
        return counted


def next_request(old: Description | None, request: Request, retry_failed: bool) -> Request | None:
    """How to ask next, None if the old description stays: only what a change can mend is asked again."""
    if old is None:
        return request
    if old.state is State.TRUNCATED and request.max_tokens > old.max_tokens:
        return request
    if old.state in SETTLED or not retry_failed:
        return None
    return repair(old, request)


def repair(old: Description, request: Request) -> Request:
    """The request with the stated repair of the old one's state (`states.REPAIRS`)."""
    if old.state is State.EMPTY:
        return replace(request, image_size=max(request.image_size * 3 // 4, 64))
    if old.state in (State.TRUNCATED, State.REASONING_ONLY):
        request = replace(request, max_tokens=max(request.max_tokens, 2 * old.max_tokens))
    if old.state is State.REASONING_ONLY:
        request = replace(request, thinking=Thinking.OFF)
    return request
