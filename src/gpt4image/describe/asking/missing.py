"""What is still to be asked: compares the wanted descriptions with those in the store."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import compress

import numpy as np

from gpt4image.describe.asking.finish import CUT_WORDS
from gpt4image.describe.prompts.candidates import find_candidates
from gpt4image.describe.prompts.parse import Prompt
from gpt4image.describe.prompts.places import Places
from gpt4image.describe.store.rows import Description
from gpt4image.describe.store.states import SETTLED, State
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.images import ImageSet, Scan

BATCH_SIZE = 500


class Thinking(StrEnum):
    """Whether a model that can think before it answers shall do so."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"

    @property
    def template_fields(self) -> dict[str, bool]:
        """What chat templates are told; nothing if it is left to them."""
        return {} if self is Thinking.AUTO else {"enable_thinking": self is Thinking.ON}


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
    """One description to be asked for.

    Attributes:
        index: position of the image.
        digest: its digest.
        prompt: what is asked.
        words: the prompt for this image, its places filled; "" before that.
        request: how it is asked.
        sample: number of the sample.
        seed: of the sampling, None to leave it to the describer.
        old: the description it replaces.
    """

    index: int
    digest: str
    prompt: Prompt
    words: str
    request: Request
    sample: int = 0
    seed: int | None = None
    old: Description | None = None


class DigestSet:
    """Remembers 64 bits of each digest.

    Among N digests a wrong answer has a chance of N / 2^64 a question: below one in ten million for a whole
    data set of ImageNet's size.
    """

    def __init__(self, digests: Iterator[str]) -> None:
        self._hashes = np.unique(np.fromiter(map(hash, digests), dtype=np.int64))

    def contains(self, digests: Sequence[str]) -> np.ndarray:
        """Whether each of some digests is in the set; bool [N]."""
        wanted = np.fromiter(map(hash, digests), dtype=np.int64, count=len(digests))
        if not len(self._hashes):
            return np.zeros(len(digests), dtype=bool)
        places = np.searchsorted(self._hashes, wanted).clip(max=len(self._hashes) - 1)
        return self._hashes[places] == wanted


@dataclass(frozen=True)
class Wanted:
    """All descriptions a run wants.

    Attributes:
        images: the images.
        scan: their digests.
        indices: int64, the images to be described, each digest once.
        prompts: what to ask; shortlists come before the prompts that wait for them.
        places: what images put into prompts.
        samples: how often each prompt is asked.
        describer: who is asked.
        request: how.
        retry_failed: whether failed ones are asked again, repaired.
        is_seeded: whether the number of a sample is the seed of its sampling.
    """

    images: ImageSet
    scan: Scan
    indices: np.ndarray
    prompts: Sequence[Prompt]
    places: Places
    samples: int
    describer: str
    request: Request
    retry_failed: bool = False
    is_seeded: bool = False

    @property
    def lines(self) -> list[tuple[Prompt, int]]:
        """What each image is asked: prompts and numbers of samples; the winner of a group is asked for once."""
        return [(one, sample) for one in self.prompts for sample in range(1 if one.choices else self.samples)]

    def rounds(self) -> list["Wanted"]:
        """What can be asked one after another: the prompts that wait for answers of others come last."""
        parts = [[one for one in self.prompts if bool(one.shortlists) is waits] for waits in (False, True)]
        return [replace(self, prompts=part) for part in parts if part]

    def asks(self, store: DescriptionStore) -> Iterator[Ask]:
        """Yields what is missing or to be redone, image by image, in nearly constant memory.

        What waits for shortlists that are not answered yet is not among it.
        """
        for batch in self._missing(store):
            waiting = {ask.prompt.name: ask.prompt for ask in batch if ask.prompt.shortlists}
            digests = list({ask.digest for ask in batch})
            ready = {
                name: find_candidates(store, prompt, self.describer, digests, self.places.names)
                for name, prompt in waiting.items()
            }
            for ask in batch:
                candidates = ready.get(ask.prompt.name, {}).get(ask.digest)
                if candidates is not None or not ask.prompt.shortlists:
                    yield self._put_into_words(ask, candidates)

    def _missing(self, store: DescriptionStore) -> Iterator[list[Ask]]:
        """The answers that are missing or to be redone, ready to be asked for or not, in batches of images."""
        lines = self.lines
        settled = [DigestSet(store.settled_digests(prompt.name, self.describer, n)) for prompt, n in lines]
        for start in range(0, len(self.indices), BATCH_SIZE):
            batch = self.indices[start : start + BATCH_SIZE].tolist()
            digests = [self.scan.digests[index] for index in batch]
            # Most images are usually settled and are not looked up.
            missing = np.array([~known.contains(digests) for known in settled])
            found = [
                store.find(list(compress(digests, mask)), prompt.name, self.describer, sample)
                for (prompt, sample), mask in zip(lines, missing, strict=True)
            ]
            yield [
                Ask(batch[position], digests[position], lines[line][0], "", request, lines[line][1], old=old)
                for position, line in np.argwhere(missing.T).tolist()
                if (request := next_request(old := found[line].get(digests[position]), self.request, self.retry_failed))
            ]

    def _put_into_words(self, ask: Ask, candidates: Sequence[str] | None) -> Ask:
        # Another sample sees the classes in another order, so that places in the list even out.
        words = self.places.render(ask.prompt, ask.index, f"{ask.digest} {ask.sample}", candidates)
        # What is asked goes to other processes; the shortlists have done their part.
        prompt = replace(ask.prompt, shortlists=()) if ask.prompt.shortlists else ask.prompt
        return replace(ask, prompt=prompt, words=words, seed=ask.sample if self.is_seeded else None)

    def count(self, store: DescriptionStore) -> Counter[str]:
        """How many descriptions are `kept`, `redo` and `new`."""
        missing = (ask for batch in self._missing(store) for ask in batch)
        counted = Counter("new" if ask.old is None else "redo" for ask in missing)
        counted["kept"] = len(self.indices) * len(self.lines) - counted.total()
        return counted


def next_request(old: Description | None, request: Request, retry_failed: bool) -> Request | None:
    """How to ask next, None if the old description stays: only what a change can mend is asked again."""
    if old is None:
        return request
    # The text was cut at the limit, or thinking took it all: a larger one alone may mend it.
    is_cut = old.state is State.TRUNCATED or (old.state is State.REASONING_ONLY and CUT_WORDS in old.error)
    if is_cut and request.max_tokens > old.max_tokens:
        return request
    return None if old.state in SETTLED or not retry_failed else repair(old, request)


def repair(old: Description, request: Request) -> Request:
    """The request with the stated repair of the old one's state (`states.REPAIRS`)."""
    if old.state is State.EMPTY:
        return replace(request, image_size=max(request.image_size * 3 // 4, 64))
    if old.state in (State.TRUNCATED, State.REASONING_ONLY):
        request = replace(request, max_tokens=max(request.max_tokens, 2 * old.max_tokens))
    if old.state is State.REASONING_ONLY:
        request = replace(request, thinking=Thinking.OFF)
    return request
