"""The replay describer: takes descriptions from a file instead of asking a model."""

from collections import Counter
from collections.abc import Iterator, Mapping
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
from gpt4image.describe.store.states import State
from gpt4image.errors import DescriptionError

BATCH_SIZE = 500
NOT_SENT = Request(max_tokens=0, image_size=0)


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
        matched = self._match(wanted, counts)
        while batch := list(islice(matched, BATCH_SIZE)):
            for prompt in wanted.prompts:
                texts = {index: text for index, row in batch if (text := _text(row, prompt.name))}
                _record({wanted.scan.digests[index]: (index, text) for index, text in texts.items()}, prompt, recorder)
            recorder.tracker.advance(len(batch))
        self._refuse_nothing(wanted, counts, recorder.tally.kept + recorder.tally.finished)
        if counts["other"]:
            recorder.tally.notes.append(f"{counts['other']} rows of {self.file} are about other images")
        return ""

    def _match(self, wanted: Wanted, counts: Counter[str]) -> Iterator[tuple[int, Row]]:
        """Rows about readable images, with the positions of these."""
        matcher = ImageMatcher(wanted.images.keys, wanted.scan.digests, self.file.parent, wanted.images.location)
        for row in read_rows(self.file):
            index = matcher.find(row)
            counts["other" if index is None else "matched"] += 1
            if index is not None and wanted.scan.readable[index]:
                yield index, row

    def _refuse_nothing(self, wanted: Wanted, counts: Counter[str], num_texts: int) -> None:
        if not counts:
            raise DescriptionError(f"{self.file} has no rows; it must hold one row an image")
        first = next(read_rows(self.file))
        if not counts["matched"]:
            named = {name: first[name] for name in COLUMNS if name in first}
            raise DescriptionError(
                f"{self.file} describes none of the images of {wanted.images.source}: the file has "
                f"{named or list(first)}, the images have keys such as {wanted.images.keys[0]!r}; "
                f"a row names its image by {', '.join(COLUMNS)}"
            )
        if not num_texts:
            names = ", ".join(repr(prompt.name) for prompt in wanted.prompts)
            raise DescriptionError(
                f"{self.file} has no text in {names}; its fields are {', '.join(first)}: choose with --field"
            )


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def _record(texts: Mapping[str, tuple[int, str]], prompt: Prompt, recorder: Recorder) -> None:
    """Writes texts, by digest, but for those that are there already, and where a person has written another."""
    known = recorder.store.find(list(texts), prompt.name, recorder.describer)
    kept = {digest for digest, old in known.items() if old.text == texts[digest][1] or old.author != "describer"}
    recorder.tally.kept += len(kept)
    # Nothing that was counted for an earlier text is counted on: this one was not asked for.
    olds = {digest: replace(old, tokens_in=0, tokens_out=0, attempts=0) for digest, old in known.items()}
    recorder.record_all(
        [
            (
                Ask(index, digest, prompt, "", NOT_SENT, old=olds.get(digest)),
                Reply(State.OK if is_answer(prompt.name) else judge_text(text), text),
            )
            for digest, (index, text) in texts.items()
            if digest not in kept
        ]
    )
