"""The replay describer: takes descriptions from a file instead of asking a model."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from gpt4image.describe.asking.missing import Ask, Request, Wanted
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.asking.refusals import judge_text
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.prompts.parse import Prompt
from gpt4image.describe.prompts.pick_names import is_answer
from gpt4image.describe.replay.matching import COLUMNS, ImageMatcher
from gpt4image.describe.replay.rows import Row, read_rows
from gpt4image.describe.replay.texts import read_texts, show_value
from gpt4image.describe.store.states import State
from gpt4image.errors import DescriptionError
from gpt4image.images.files.names import escape_name

BATCH_SIZE = 500
NOT_SENT = Request(max_tokens=0, image_size=0)
NOTES = {
    "other": "are about other images",
    "unreadable": "are about images that cannot be read",
    "left out": "are about images that --limit leaves out",
    "without text": "have no text",
}


@dataclass(frozen=True)
class ReplayDescriber:
    """The texts of a file; each column that holds descriptions is the prompt of its name."""

    file: Path

    def answer(self, wanted: Wanted, recorder: Recorder) -> str:
        """As `Describer.answer`; texts that have changed in the file since are written anew.

        Raises:
            DescriptionError: the file cannot be read, has none of the columns, or is about other images only.
        """
        counts: Counter[str] = Counter()
        self._check(wanted.prompts)
        examples: dict[str, str] = {}
        matched = self._match(wanted, counts, examples)
        without = {wanted.scan.digests[index]: index for index in wanted.indices}
        # Several rows about one image, or several texts in one row, are samples.
        numbers: dict[str, Counter[str]] = {prompt.name: Counter() for prompt in wanted.prompts}
        while batch := list(islice(matched, BATCH_SIZE)):
            num_without = len(without)
            for prompt in wanted.prompts:
                found = [(index, read_texts(row, prompt.name)) for index, row in batch]
                texts = [(index, text) for index, own in found for text in own]
                counts["without text"] += sum(not own for _, own in found)
                _record(_number(texts, wanted.scan.digests, numbers[prompt.name]), prompt, recorder)
                for index, _ in texts:
                    without.pop(wanted.scan.digests[index], None)
            # Of images, not of rows: an image may have several.
            recorder.tracker.advance(num_without - len(without))
        self._refuse_nothing(wanted, counts, recorder.tally.kept + recorder.tally.finished)
        self._say(counts, examples, recorder.tally.notes)
        if without and wanted.prompts:
            images = "1 image has" if len(without) == 1 else f"{len(without):,} images have"
            first = escape_name(wanted.images.keys[min(without.values())])
            recorder.tally.notes.append(f"{images} no text in {self.file}, such as {first}")
        return ""

    def _check(self, prompts: Sequence[Prompt]) -> None:
        """A file with a mistake in it is refused before anything of it is written."""
        for row in read_rows(self.file):
            for prompt in prompts:
                read_texts(row, prompt.name)

    def _say(self, counts: Counter[str], examples: Mapping[str, str], notes: list[str]) -> None:
        for kind, words in NOTES.items():
            if counts[kind]:
                example = f", such as {examples[kind]}" if kind in examples else ""
                notes.append(f"{counts[kind]:,} rows of {self.file} {words}{example}")

    def _match(self, wanted: Wanted, counts: Counter[str], examples: dict[str, str]) -> Iterator[tuple[int, Row]]:
        """Rows about the images that are wanted, with the positions of these."""
        matcher = ImageMatcher(wanted.images.keys, wanted.scan.digests, self.file.parent, wanted.images.location)
        chosen = {wanted.scan.digests[index] for index in wanted.indices}
        for row in read_rows(self.file):
            index = matcher.find(row)
            counts["other" if index is None else "matched"] += 1
            if index is None:
                examples.setdefault("other", f"{row.place.removeprefix(f'{self.file}, ')} ({_show_name(row)})")
                continue
            if not wanted.scan.readable[index]:
                counts["unreadable"] += 1
                continue
            if wanted.scan.digests[index] in chosen:
                yield index, row
            else:
                counts["left out"] += 1

    def _refuse_nothing(self, wanted: Wanted, counts: Counter[str], num_texts: int) -> None:
        if not counts:
            raise DescriptionError(f"{self.file} has no rows; it must hold one row an image")
        first = next(read_rows(self.file))
        if not counts["matched"]:
            named = {name: show_value(first[name]) for name in COLUMNS if name in first}
            raise DescriptionError(
                f"{self.file} describes none of the images of {wanted.images.source}: the file has "
                f"{named or list(first)}, the images have keys such as {wanted.images.keys[0]!r}; "
                f"a row names its image by {', '.join(COLUMNS)}"
            )
        if not num_texts and counts["without text"]:
            names = ", ".join(repr(prompt.name) for prompt in wanted.prompts)
            raise DescriptionError(
                f"{self.file} has no text in {names}; its fields are {', '.join(first)}: choose with --field"
            )


def _show_name(row: Row) -> str:
    """What a row calls its image."""
    name = next((name for name in COLUMNS if row.get(name)), None)
    return "no name of an image" if name is None else f"{name} {show_value(row[name])}"


def _number(
    texts: Sequence[tuple[int, str]], digests: Sequence[str], numbers: Counter[str]
) -> dict[int, dict[str, tuple[int, str]]]:
    """By number of the sample and digest: position of the image and text."""
    samples: dict[int, dict[str, tuple[int, str]]] = defaultdict(dict)
    for index, text in texts:
        digest = digests[index]
        samples[numbers[digest]][digest] = (index, text)
        numbers[digest] += 1
    return samples


def _record(samples: Mapping[int, Mapping[str, tuple[int, str]]], prompt: Prompt, recorder: Recorder) -> None:
    """Writes texts, but for those that are there already, and where a person has written another."""
    for sample, texts in samples.items():
        known = recorder.store.find(list(texts), prompt.name, recorder.describer, sample)
        kept = {digest for digest, old in known.items() if old.text == texts[digest][1] or old.author != "describer"}
        recorder.tally.kept += len(kept)
        # Nothing that was counted for an earlier text is counted on: this one was not asked for.
        olds = {digest: replace(old, tokens_in=0, tokens_out=0, attempts=0) for digest, old in known.items()}
        recorder.record_all(
            [
                (
                    Ask(index, digest, prompt, "", NOT_SENT, sample, old=olds.get(digest)),
                    Reply(State.OK if is_answer(prompt.name) else judge_text(text), text),
                )
                for digest, (index, text) in texts.items()
                if digest not in kept
            ]
        )
