"""The gallery's data as small scripts, because a page opened from disk may load scripts but no data files.

`index.js` holds a few numbers an image, so that filters are instant at 100,000 images; texts stand in parts of
500 images, of which a page loads those it shows.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gpt4image.describe.store.rows import Description, Name
from gpt4image.report.gallery.entries import Entry, Weighed

PART_SIZE = 500
WORDS = ("classes", "states", "marks", "prompts", "describers", "labels")
QUEUED = "queued"
"""Taken out of the store by a person, to be described again."""


@dataclass
class GalleryData:
    """Entries and the words that stand for numbers in the scripts.

    Attributes:
        entries: in the order of the gallery.
        pictures: digests of the images that can be shown.
        title: of the page.
        editable: whether a server is there to take changes.
        reviewed: whether it has a page for answers about labels.
    """

    entries: list[Entry]
    pictures: frozenset[str]
    title: str
    editable: bool = False
    reviewed: bool = False

    def __post_init__(self) -> None:
        self.position = {entry.digest: number for number, entry in enumerate(self.entries)}
        self._words: dict[str, dict[str, int]] = {name: {} for name in WORDS}
        for entry in self.entries:
            self._compact(entry)

    def update(self, entry: Entry) -> None:
        """Puts an entry in the place of the one with its digest."""
        self.entries[self.position[entry.digest]] = entry

    def index_script(self) -> str:
        """All that filters need: class, states, marks and label of every image, states and marks as bits."""
        rows = [self._summary(entry) for entry in self.entries]
        facts = {"title": self.title, "editable": self.editable, "partSize": PART_SIZE, **self._known_words()}
        names = ("classOf", "statesOf", "marksOf", "labelOf")
        columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        return self._call("index", facts | columns)

    def part_script(self, number: int) -> str:
        """The texts of one part."""
        part = self.entries[number * PART_SIZE : (number + 1) * PART_SIZE]
        return self._call("part", number, [self._compact(entry) for entry in part])

    def num_parts(self) -> int:
        """How many parts there are."""
        return -(-len(self.entries) // PART_SIZE)

    def entry_json(self, digest: str) -> dict[str, Any]:
        """One entry as the page takes it after a change."""
        position = self.position[digest]
        entry = self.entries[position]
        shown = {"position": position, "entry": self._compact(entry), "summary": self._summary(entry)}
        return shown | self._known_words()

    def _known_words(self) -> dict[str, list[str]]:
        return {name: list(words) for name, words in self._words.items()}

    def _summary(self, entry: Entry) -> tuple[int, int, int, int]:
        states = [*(str(one.state) for one in entry.descriptions), *(QUEUED for _ in entry.queued)]
        marks = [mark for marks in entry.marks for mark in marks]
        bits = self._bits("states", states), self._bits("marks", marks)
        label = self._number("labels", entry.label.state) if entry.label else -1
        return self._number("classes", entry.class_name), *bits, label

    def _compact(self, entry: Entry) -> list[Any]:
        """Digest, key, class, whether there is a picture, descriptions, whether a change can be undone, the label:
        given and proposed class, state and confidence."""
        descriptions = []
        for one, marks in zip(entry.descriptions, entry.marks, strict=True):
            numbers = [self._number("marks", mark) for mark in marks]
            descriptions.append([*self._name(one, str(one.state)), one.text, one.author, one.error, numbers])
        descriptions += [[*self._name(name, QUEUED), "", "", "", []] for name in entry.queued]
        class_name, shown = self._number("classes", entry.class_name), int(entry.digest in self.pictures)
        return [entry.digest, entry.key, class_name, shown, descriptions, int(entry.undoable), self._label(entry.label)]

    def _label(self, label: Weighed | None) -> list[Any] | None:
        if label is None:
            return None
        classes = [self._number("classes", name) if name else -1 for name in (label.given, label.proposed)]
        return [*classes, self._number("labels", label.state), label.confidence]

    def _name(self, one: Description | Name, state: str) -> list[int]:
        prompt, describer = self._number("prompts", one.prompt), self._number("describers", one.describer)
        return [prompt, describer, one.sample, self._number("states", state)]

    def _number(self, kind: str, word: str) -> int:
        return self._words[kind].setdefault(word, len(self._words[kind]))

    def _bits(self, kind: str, words: Iterable[str]) -> int:
        return sum({1 << self._number(kind, word) for word in words})

    @staticmethod
    def _call(function: str, *arguments: Any) -> str:
        return f"gallery.{function}({','.join(json.dumps(one, separators=(',', ':')) for one in arguments)});\n"
