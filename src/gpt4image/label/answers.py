"""What people said of images: one line an answer, appended and never changed, so that nothing is lost in a crash."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from gpt4image.errors import LabelError
from gpt4image.images import UNLABELLED

FILE = "answers.jsonl"
NONE_OF_THESE = -2
"""Number that stands for the answer that an image is of none of the classes."""


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        digest: of the image.
        class_name: what the person said; None for "none of these".
        who: the person.
        when: UTC.
        undo: takes back the last answer about this image instead of giving one.
    """

    digest: str
    class_name: str | None
    who: str
    when: str
    undo: bool = False


def record_answer(work: Path, digest: str, class_name: str | None, who: str, undo: bool = False) -> Answer:
    """Appends an answer; it is on disk when this returns."""
    answer = Answer(digest, class_name, who, datetime.now(UTC).isoformat(timespec="seconds"), undo)
    path = work / "labels" / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    # One write of one line that begins with a line break where a crash has left half a line before it.
    with path.open("ab+") as file:
        broken = file.tell() > 0 and not _ends_with_newline(path)
        file.write(b"\n" * broken + json.dumps(asdict(answer), ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return answer


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def read_answers(work: Path) -> dict[str, Answer]:
    """The answer that holds for each image by digest: the last one that was not taken back."""
    path = work / "labels" / FILE
    given: dict[str, list[Answer]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            answer = Answer(**json.loads(line))
        except (ValueError, TypeError):
            continue  # Half a line: the answer was never confirmed to the person who gave it.
        if not answer.undo:
            given.setdefault(answer.digest, []).append(answer)
        elif given.get(answer.digest):
            given[answer.digest].pop()
    return {digest: answers[-1] for digest, answers in given.items() if answers}


def match_answers(answers: dict[str, Answer], digests: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """int64 [N]: the class a person gave each image, -1 where there is no answer, -2 for none of these.

    Raises:
        LabelError: an answer names a class that is not among these.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    gold = np.full(len(digests), UNLABELLED, dtype=np.int64)
    for index, digest in enumerate(digests):
        if (answer := answers.get(digest)) is None:
            continue
        if answer.class_name is not None and answer.class_name not in numbers:
            raise LabelError(
                f"{answer.who} called an image {answer.class_name!r}, but the classes are {', '.join(classes)}; "
                "name all classes with --class-names, or take the answer back in the gallery"
            )
        gold[index] = NONE_OF_THESE if answer.class_name is None else numbers[answer.class_name]
    return gold
