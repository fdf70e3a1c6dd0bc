"""Changes of descriptions, each remembered with the row before and after it, so that any can be undone later."""

import json
import sqlite3
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

from gpt4image.describe.prompts.fields import main_prompt, name_fields
from gpt4image.describe.store.connect import FILE_NAME, find_store, is_writable, open_file
from gpt4image.describe.store.rows import Description, Name, now
from gpt4image.describe.store.states import State
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import DescriptionError

SCHEMA = """
CREATE TABLE IF NOT EXISTS edits (
    number INTEGER PRIMARY KEY, digest TEXT NOT NULL, prompt TEXT NOT NULL, describer TEXT NOT NULL,
    sample INTEGER NOT NULL, action TEXT NOT NULL, before TEXT, after TEXT,
    author TEXT NOT NULL, created TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0
)
"""
PERSON, LINT = "person", "lint"
"""The authors of a changed row; which person it was stands in the table of edits."""
Change = tuple[Description, Description | None]
"""A row before and after; None if it was taken out."""
BATCH_SIZE = 10_000


class Editor:
    """Changes descriptions in a store.

    Args:
        work: folder of the store.
        author: who is written down as the author of changes.
    """

    def __init__(self, work: Path, author: str = PERSON) -> None:
        self.work, self.author = work, author
        if is_writable(find_store(work)):
            with self._edits() as edits:
                edits.execute(SCHEMA)

    def edit(self, name: Name, text: str) -> None:
        """Replaces a text; the description is then `ok` and the person its author.

        Raises:
            DescriptionError: there is no such description, or the text is empty.
        """
        if not text.strip():
            raise DescriptionError("an empty text is no description; reject it instead")
        self._change(name, "edit", lambda row: replace(row, text=text.strip(), state=State.OK, error="", author=PERSON))

    def reject(self, name: Name) -> None:
        """Marks a description as rejected: it is never embedded and never asked for again."""
        self._change(name, "reject", lambda row: replace(row, state=State.REJECTED, author=PERSON))

    def requeue(self, name: Name) -> None:
        """Takes a description out of the store, so that the next describe asks for it again.

        All fields of an answer go and come back together, for they are one request.
        """
        self._change(name._replace(prompt=main_prompt(name.prompt)), "requeue", lambda row: None)

    def undo(self, digest: str) -> bool:
        """Takes back the last change of an image that is not taken back yet; False if there is none."""
        query = (
            "SELECT number, before, action, created FROM edits WHERE digest = ? AND NOT undone"
            " ORDER BY number DESC LIMIT 1"
        )
        with self._edits() as edits, DescriptionStore.open(self.work) as store:
            last = edits.execute(query, (digest,)).fetchone()
            if last is None:
                return False
            main = _from_json(last[1])
            rows = [(last[0], main), *_find_fields(edits, main, *last[2:])]
            if last[2] == "requeue":
                self._keep_newer(store, main.name)
            store.write(row for _, row in rows)
            edits.executemany("UPDATE edits SET undone = 1 WHERE number = ?", [(number,) for number, _ in rows])
        return True

    def _keep_newer(self, store: DescriptionStore, name: Name) -> None:
        """An answer that was asked for since, and perhaps paid for, is kept as a further sample, with its fields."""
        names = [name, *_field_names(name)]
        newer = [row for one in names if (row := store.get(one)) is not None]
        if any(row.name == name for row in newer):
            sample = store.next_sample(name)
            store.write(replace(row, sample=sample) for row in newer)
        store.remove(names)

    def change_all(self, action: str, changes: Iterable[Change]) -> int:
        """Makes many changes, each of which can be undone, and says how many."""
        num_changed, changes = 0, iter(changes)
        while wanted := list(islice(changes, BATCH_SIZE)):
            with DescriptionStore.open(self.work) as store:
                removed = [before.name for before, after in wanted if after is None]
                fields = [store.get(field) for name in removed for field in _field_names(name)]
                # The description comes last: its change is the one that undo finds.
                changed: list[Change] = [*((row, None) for row in fields if row is not None), *wanted]
                self._record(action, changed)
                store.write(after for _, after in changed if after is not None)
                store.remove(before.name for before, after in changed if after is None)
            num_changed += len(wanted)
        return num_changed

    def _record(self, action: str, changed: Iterable[Change]) -> None:
        """Comes first: a change that nobody can undo is worse than an undo that changes nothing."""
        time = now()
        rows = [
            (*before.name, action, _to_json(before), after and _to_json(after), self.author, time)
            for before, after in changed
        ]
        with self._edits() as edits:
            edits.execute("BEGIN IMMEDIATE")
            edits.executemany(
                "INSERT INTO edits (digest, prompt, describer, sample, action, before, after, author, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            edits.execute("COMMIT")

    def undo_all(self, action: str) -> int:
        """Takes back this author's changes of one kind, but for texts changed again since; says how many."""
        query = (
            "SELECT number, before, after FROM edits WHERE action = ? AND author = ? AND NOT undone AND number < ?"
            f" ORDER BY number DESC LIMIT {BATCH_SIZE}"
        )
        num_undone, last = 0, sys.maxsize
        with self._edits() as edits, DescriptionStore.open(self.work) as store:
            while rows := edits.execute(query, (action, self.author, last)).fetchall():
                last = rows[-1][0]
                changes = [(number, _from_json(before), after and _from_json(after)) for number, before, after in rows]
                undone = [(number, before) for number, before, after in changes if store.get(before.name) == after]
                store.write(before for _, before in undone)
                edits.execute("BEGIN IMMEDIATE")
                edits.executemany("UPDATE edits SET undone = 1 WHERE number = ?", [(n,) for n, _ in undone])
                edits.execute("COMMIT")
                num_undone += sum(main_prompt(before.prompt) == before.prompt for _, before in undone)
        return num_undone

    def _change(self, name: Name, action: str, change: Callable[[Description], Description | None]) -> None:
        with DescriptionStore.open(self.work) as store:
            before = store.get(name)
        if before is None:
            raise DescriptionError(
                f"there is no description of {name.digest[:12]} by {name.describer} for {name.prompt}"
            )
        self.change_all(action, [(before, change(before))])

    def _edits(self) -> closing[sqlite3.Connection]:
        path = find_store(self.work)
        if not is_writable(path):
            raise DescriptionError(f"{path} cannot be written; make it writable, or change a copy of it")
        return closing(open_file(path))


def read_undoable(work: Path) -> frozenset[str]:
    """Digests of the images with a change that can be undone."""
    return frozenset(digest for (digest,) in _query(work, "SELECT DISTINCT digest FROM edits WHERE NOT undone"))


def read_queued(work: Path) -> dict[str, tuple[Name, ...]]:
    """By digest, the descriptions that were taken out and have not been written again since."""
    query = (
        "SELECT digest, prompt, describer, sample FROM edits GROUP BY digest, prompt, describer, sample"
        " HAVING SUM(action = 'requeue' AND NOT undone) > 0 AND NOT EXISTS (SELECT 1 FROM descriptions AS d WHERE"
        " d.digest = edits.digest AND d.prompt = edits.prompt AND d.describer = edits.describer"
        " AND d.sample = edits.sample)"
    )
    queued: dict[str, tuple[Name, ...]] = {}
    names = {Name._make(row): None for row in _query(work, query)}
    for name in names:
        # A new answer may have no such field; it is not asked for on its own.
        if name._replace(prompt=main_prompt(name.prompt)) in names:
            queued[name.digest] = (*queued.get(name.digest, ()), name)
    return queued


def _query(work: Path, query: str) -> list[tuple]:
    """The rows of a query about edits; none where nothing was ever edited."""
    with closing(open_file(work / FILE_NAME)) as connection:
        has_edits = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'edits'").fetchone()
        return connection.execute(query).fetchall() if has_edits else []


def _field_names(name: Name) -> list[Name]:
    """The rows that belong to the answer to a prompt with fields."""
    return [name._replace(prompt=field) for field in name_fields(name.prompt)]


def _find_fields(
    edits: sqlite3.Connection, main: Description, action: str, created: str
) -> list[tuple[int, Description]]:
    """The changes of fields that were made together with that of their description: number, and row before."""
    query = (
        "SELECT number, before FROM edits WHERE digest = ? AND prompt = ? AND describer = ? AND sample = ?"
        " AND action = ? AND created = ? AND NOT undone"
    )
    found = [row for name in _field_names(main.name) for row in edits.execute(query, (*name, action, created))]
    return [(number, _from_json(before)) for number, before in found]


def _to_json(description: Description) -> str:
    return json.dumps(asdict(description), ensure_ascii=False)


def _from_json(text: str) -> Description:
    return Description(**json.loads(text))
