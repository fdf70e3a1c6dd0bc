"""Changes of descriptions, each remembered with the row before and after it, so that any can be undone later."""

import json
import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from gpt4image.describe.store.states import State
from gpt4image.describe.store.store import FILE_NAME, Description, DescriptionStore
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


class Name(NamedTuple):
    """Which description: the key of a row of the store."""

    digest: str
    prompt: str
    describer: str
    sample: int


def name_of(description: Description) -> Name:
    """The key of a description's row."""
    return Name(description.digest, description.prompt, description.describer, description.sample)


class Editor:
    """Changes descriptions in a store.

    Args:
        work: folder of the store.
        author: who is written down as the author of changes.
    """

    def __init__(self, work: Path, author: str = PERSON) -> None:
        self.work, self.author = work, author
        with closing(self._connect()) as connection:
            connection.execute(SCHEMA)

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
        """Takes a description out of the store, so that the next describe asks for it again."""
        self._change(name, "requeue", lambda row: None)

    def undo(self, digest: str) -> bool:
        """Takes back the last change of an image that is not taken back yet; False if there is none."""
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT number, prompt, describer, sample, before FROM edits WHERE digest = ? AND NOT undone"
                " ORDER BY number DESC LIMIT 1",
                (digest,),
            ).fetchone()
            if row is None:
                return False
            number, prompt, describer, sample, before = row
            self._write(Name(digest, prompt, describer, sample), None if before is None else _from_json(before))
            connection.execute("UPDATE edits SET undone = 1 WHERE number = ?", (number,))
        return True

    def change_all(self, action: str, changes: Iterable[Change]) -> int:
        """Makes many changes, each of which can be undone, and says how many."""
        changed = list(changes)
        # The record comes first: a change that nobody can undo is worse than an undo that changes nothing.
        self._record(action, changed)
        with DescriptionStore.open(self.work) as store:
            store.write(after for _, after in changed if after is not None)
            store.remove(before for before, after in changed if after is None)
        return len(changed)

    def undo_all(self, action: str) -> int:
        """Takes back this author's changes of one kind, but for texts changed again since; says how many."""
        query = (
            "SELECT number, before, after FROM edits WHERE action = ? AND author = ? AND NOT undone AND number < ?"
            f" ORDER BY number DESC LIMIT {BATCH_SIZE}"
        )
        num_undone, last = 0, sys.maxsize
        with closing(self._connect()) as connection, DescriptionStore.open(self.work) as store:
            while rows := connection.execute(query, (action, self.author, last)).fetchall():
                last = rows[-1][0]
                changes = [(number, _from_json(before), after and _from_json(after)) for number, before, after in rows]
                undone = [(number, before) for number, before, after in changes if _find(store, before) == after]
                store.write(before for _, before in undone)
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("UPDATE edits SET undone = 1 WHERE number = ?", [(n,) for n, _ in undone])
                connection.execute("COMMIT")
                num_undone += len(undone)
        return num_undone

    def history(self, digest: str) -> list[dict[str, Any]]:
        """The changes of an image, oldest first."""
        columns = "action, prompt, describer, sample, author, created, undone"
        query = f"SELECT {columns} FROM edits WHERE digest = ? ORDER BY number"
        with closing(self._connect()) as connection:
            rows = connection.execute(query, (digest,)).fetchall()
        return [dict(zip(columns.split(", "), row, strict=True)) for row in rows]

    def _change(self, name: Name, action: str, change: Callable[[Description], Description | None]) -> None:
        with DescriptionStore.open(self.work) as store:
            before = _find(store, name)
        if before is None:
            raise DescriptionError(
                f"there is no description of {name.digest[:12]} by {name.describer} for {name.prompt}"
            )
        self.change_all(action, [(before, change(before))])

    def _record(self, action: str, changes: Sequence[Change]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            (*name_of(before), action, _to_json(before), None if after is None else _to_json(after), self.author, now)
            for before, after in changes
        ]
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO edits (digest, prompt, describer, sample, action, before, after, author, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            connection.execute("COMMIT")

    def _write(self, name: Name, description: Description | None) -> None:
        if description is not None:
            with DescriptionStore.open(self.work) as store:
                store.write([description])
            return
        with closing(self._connect()) as connection:
            connection.execute(
                "DELETE FROM descriptions WHERE digest = ? AND prompt = ? AND describer = ? AND sample = ?", name
            )

    def _connect(self) -> sqlite3.Connection:
        path = self.work / FILE_NAME
        if not path.is_file():
            raise DescriptionError(
                f"{path} does not exist; write descriptions first: gpt4image describe IMAGES {self.work}"
            )
        return sqlite3.connect(path, timeout=60, isolation_level=None)


def _find(store: DescriptionStore, name: Name | Description) -> Description | None:
    return store.find([name.digest], name.prompt, name.describer, name.sample).get(name.digest)


def read_undoable(work: Path) -> frozenset[str]:
    """Digests of the images with a change that can be undone."""
    with closing(sqlite3.connect(work / FILE_NAME, timeout=60)) as connection:
        if not _has_edits(connection):
            return frozenset()
        return frozenset(
            digest for (digest,) in connection.execute("SELECT DISTINCT digest FROM edits WHERE NOT undone")
        )


def _has_edits(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'edits'").fetchone() is not None


def read_queued(work: Path) -> dict[str, tuple[Name, ...]]:
    """By digest, the descriptions that were taken out and have not been written again since."""
    query = (
        "SELECT digest, prompt, describer, sample FROM edits GROUP BY digest, prompt, describer, sample"
        " HAVING SUM(action = 'requeue' AND NOT undone) > 0 AND NOT EXISTS (SELECT 1 FROM descriptions AS d WHERE"
        " d.digest = edits.digest AND d.prompt = edits.prompt AND d.describer = edits.describer"
        " AND d.sample = edits.sample)"
    )
    queued: dict[str, tuple[Name, ...]] = {}
    with closing(sqlite3.connect(work / FILE_NAME, timeout=60)) as connection:
        for row in connection.execute(query) if _has_edits(connection) else ():
            name = Name(*row)
            queued[name.digest] = (*queued.get(name.digest, ()), name)
    return queued


def _to_json(description: Description) -> str:
    return json.dumps(asdict(description), ensure_ascii=False)


def _from_json(text: str) -> Description:
    values = json.loads(text)
    return Description(**{**values, "state": State(values["state"])})
