"""The store of descriptions: one SQLite file, one row a digest x prompt x describer x sample."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from itertools import starmap
from pathlib import Path
from typing import Self

from gpt4image.describe.store.connect import FILE_NAME, connect, find_store
from gpt4image.describe.store.rows import COLUMNS, DescribedImage, Description, Name, Usage, read_state
from gpt4image.describe.store.states import SETTLED, State
from gpt4image.shown import find_keys, mask_keys

ALL = ", ".join(COLUMNS)
OF_NAME = "digest = ? AND prompt = ? AND describer = ? AND sample = ?"
BATCH_SIZE = 500
MODELS_SCHEMA = """
CREATE TABLE IF NOT EXISTS answering_models (
    describer TEXT NOT NULL, model TEXT NOT NULL, PRIMARY KEY (describer, model)
) WITHOUT ROWID
"""


class DescriptionStore:
    """Reads and writes descriptions; every write is on disk when the call returns, whoever is killed then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = connect(path)

    @classmethod
    def open(cls, work: Path, create: bool = False) -> Self:
        """Opens the store of a work folder.

        Raises:
            DescriptionError: there is none and `create` is False.
        """
        if create:
            work.mkdir(parents=True, exist_ok=True)
        return cls(work / FILE_NAME if create else find_store(work))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All writes of the block are on disk together, or none is."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def write(self, descriptions: Iterable[Description]) -> None:
        """Writes descriptions, over earlier ones of the same image, prompt, describer and sample."""
        keys = find_keys()
        with self._writing() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO descriptions ({ALL}) VALUES ({_marks(COLUMNS)})",
                ([mask_keys(v, keys) if isinstance(v, str) else v for v in astuple(one)] for one in descriptions),
            )

    def remove(self, names: Iterable[Name]) -> None:
        """Removes descriptions; the describe stage asks for them again."""
        with self._writing() as connection:
            connection.executemany(f"DELETE FROM descriptions WHERE {OF_NAME}", names)

    def write_images(self, images: Iterable[DescribedImage]) -> None:
        """Remembers under which key and class each image is known now; quick if they come ordered by digest."""
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO images VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET key = excluded.key,"
                " class_name = excluded.class_name WHERE (key, class_name) IS NOT (excluded.key, excluded.class_name)",
                images,
            )

    def write_conflicts(self, copies: Iterable[DescribedImage]) -> None:
        """Remembers the copies of pictures that lie in several classes, in place of those remembered before."""
        with self._writing() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS conflicts (digest TEXT, key TEXT, class_name TEXT)")
            connection.execute("DELETE FROM conflicts")
            connection.executemany("INSERT INTO conflicts VALUES (?, ?, ?)", copies)

    def conflicts(self) -> list[DescribedImage]:
        """The copies of pictures that lay in several classes when images were written last."""
        known = self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'conflicts'").fetchone()
        rows = self._connection.execute("SELECT digest, key, class_name FROM conflicts") if known else ()
        return [DescribedImage(*row) for row in rows]

    def has_registered(self, fingerprint: str) -> bool:
        """Whether the images of this fingerprint were the last that were written."""
        return self._connection.execute("SELECT fingerprint FROM last_registered").fetchall() == [(fingerprint,)]

    def note_registered(self, fingerprint: str) -> None:
        """Remembers which images were written last."""
        with self._writing() as connection:
            connection.execute("DELETE FROM last_registered")
            connection.execute("INSERT INTO last_registered VALUES (?)", (fingerprint,))

    def prompt_identity(self, name: str, identity: str) -> str:
        """What a prompt's name stands for: `identity` from the first call on."""
        self._connection.execute("INSERT OR IGNORE INTO prompts VALUES (?, ?)", (name, identity))
        return self._connection.execute("SELECT identity FROM prompts WHERE name = ?", (name,)).fetchone()[0]

    def remember_batch(self, key: str, prompt: str, describer: str, max_tokens: int) -> None:
        """Remembers what the short key in the requests of a batch file stands for."""
        self._connection.execute(
            "INSERT OR IGNORE INTO batches VALUES (?, ?, ?, ?)", (key, prompt, describer, max_tokens)
        )

    def find_batch(self, key: str) -> tuple[str, str, int] | None:
        """Prompt, describer and max_tokens of a batch's short key."""
        query = "SELECT prompt, describer, max_tokens FROM batches WHERE key = ?"
        return self._connection.execute(query, (key,)).fetchone()

    def note_model(self, describer: str, model: str) -> None:
        """Remembers that a model answered for a describer that was not asked for."""
        with self._writing() as connection:
            connection.execute(MODELS_SCHEMA)
            connection.execute("INSERT OR IGNORE INTO answering_models VALUES (?, ?)", (describer, mask_keys(model)))

    def worst_errors(self, prompts: Sequence[str], describer: str | None) -> dict[State, str]:
        """The most frequent error of each state that has one, by a describer or by any."""
        query = (
            "SELECT state, error, COUNT(*) AS number FROM descriptions INDEXED BY descriptions_by_state"
            f" WHERE prompt IN ({_marks(prompts)}) AND (? IS NULL OR describer = ?)"
            " AND state NOT IN ('ok', 'rejected') AND error != ''"
            " GROUP BY state, error ORDER BY number"
        )
        rows = self._connection.execute(query, (*prompts, describer, describer))
        return {read_state(state, ""): error for state, error, _ in rows}

    def count_same(self, prompt: str, describer: str) -> int:
        """How many `ok` descriptions there are if all have the same text; 0 if they have not."""
        found = "FROM descriptions WHERE prompt = ? AND describer = ? AND state = 'ok'"
        query = f"SELECT COUNT(*), MIN(text) = MAX(text) {found}"
        number, are_same = self._connection.execute(query, (prompt, describer)).fetchone()
        return number if are_same else 0

    def find_digest(self, start: str) -> str | None:
        """The digest of the one image seen whose digest begins with `start`."""
        query = "SELECT digest FROM images WHERE digest >= ? AND digest < ? LIMIT 2"
        found = self._connection.execute(query, (start, start + "g")).fetchall()
        return found[0][0] if len(found) == 1 else None

    def images(self) -> Iterator[DescribedImage]:
        """All images seen, ordered by digest."""
        rows = self._connection.execute("SELECT digest, key, class_name FROM images ORDER BY digest")
        return map(DescribedImage._make, rows)

    def ok_descriptions(self, prompt: str | None = None, describer: str | None = None) -> Iterator[Description]:
        """The descriptions fit for use, ordered by digest, prompt, describer, sample; in constant memory."""
        return self.descriptions(prompt, describer, State.OK)

    def descriptions(
        self, prompt: str | None = None, describer: str | None = None, state: State | None = None
    ) -> Iterator[Description]:
        """All descriptions with these properties, ordered by digest, prompt, describer, sample; in constant memory."""
        wanted = {"prompt": prompt, "describer": describer, "state": state}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = :{name}" for name in given) or "TRUE"
        query = (
            f"SELECT {ALL} FROM descriptions INDEXED BY descriptions_key WHERE {where}"
            " ORDER BY digest, prompt, describer, sample"
        )
        return starmap(Description, self._connection.execute(query, given))

    def ok_texts(
        self, prompts: Sequence[str], describer: str | None = None
    ) -> Iterator[tuple[str, str, str, int, str, str]]:
        """Digest, prompt, describer, sample, key and text of descriptions fit for use, in the order of the first four.

        Of a million rows these are read in a fraction of the time and memory that whole descriptions take.
        """
        query = (
            "SELECT d.digest, prompt, describer, sample, IFNULL(key, ''), text"
            " FROM descriptions AS d INDEXED BY descriptions_key LEFT JOIN images USING (digest)"
            f" WHERE state = 'ok' AND prompt IN ({_marks(prompts)}) AND (? IS NULL OR describer = ?)"
            " ORDER BY d.digest, prompt, describer, sample"
        )
        return self._connection.execute(query, (*prompts, describer, describer))

    def class_names(self) -> list[str]:
        """The classes that images seen had, sorted."""
        query = "SELECT DISTINCT class_name FROM images WHERE class_name != '' ORDER BY class_name"
        return [name for (name,) in self._connection.execute(query)]

    def find(self, digests: Sequence[str], prompt: str, describer: str, sample: int = 0) -> dict[str, Description]:
        """The descriptions of some images, by digest."""
        found: dict[str, Description] = {}
        for start in range(0, len(digests), BATCH_SIZE):
            batch = digests[start : start + BATCH_SIZE]
            query = (
                f"SELECT {ALL} FROM descriptions INDEXED BY descriptions_key WHERE digest IN ({_marks(batch)})"
                " AND prompt = ? AND describer = ? AND sample = ?"
            )
            rows = self._connection.execute(query, (*batch, prompt, describer, sample))
            found.update((row[0], Description(*row)) for row in rows)
        return found

    def next_sample(self, name: Name) -> int:
        """The first number beyond all samples of this image, prompt and describer."""
        query = "SELECT MAX(sample) + 1 FROM descriptions WHERE digest = ? AND prompt = ? AND describer = ?"
        return self._connection.execute(query, name[:3]).fetchone()[0] or 0

    def get(self, name: Name) -> Description | None:
        """One description."""
        return self.find([name.digest], name.prompt, name.describer, name.sample).get(name.digest)

    def holds(self, description: Description) -> bool:
        """Whether the store has this very text already, or a better one.

        Better is what a person or lint has put in its place, and anything usable where the new one failed.
        """
        query = f"SELECT text, state, author FROM descriptions WHERE {OF_NAME}"
        row = self._connection.execute(query, description.name).fetchone()
        if row is None:
            return False
        is_better = row[1] in SETTLED and description.state not in SETTLED
        return is_better or row[2] != "describer" or row[:2] == (description.text, description.state)

    def settled_digests(self, prompt: str, describer: str, sample: int) -> Iterator[str]:
        """Digests whose description needs nothing more; one pass over an index, without the texts."""
        query = (
            "SELECT digest FROM descriptions INDEXED BY descriptions_by_state"
            " WHERE prompt = ? AND describer = ? AND sample = ? AND state IN ('ok', 'rejected')"
        )
        return (digest for (digest,) in self._connection.execute(query, (prompt, describer, sample)))

    def prompts(self) -> dict[str, int]:
        """How many `ok` descriptions each prompt has."""
        query = "SELECT prompt, SUM(state = 'ok') FROM descriptions GROUP BY prompt ORDER BY prompt"
        return dict(self._connection.execute(query))

    def usage(self, prompt: str, describer: str, most: int = 1000) -> Usage:
        """What descriptions of one prompt took, on average over at most `most` that an endpoint answered."""
        query = (
            "SELECT SUM(tokens_out > 0), IFNULL(AVG(NULLIF(tokens_in, 0)), 0), IFNULL(AVG(NULLIF(tokens_out, 0)), 0),"
            " IFNULL(AVG(seconds), 0), COUNT(*) FROM"
            " (SELECT tokens_in, tokens_out, seconds FROM descriptions WHERE prompt = ? AND describer = ?"
            " AND attempts = 1 AND state NOT IN ('endpoint_error', 'unreadable_image')"
            " AND (seconds > 0 OR tokens_out > 0) LIMIT ?)"
        )
        measured, *means = self._connection.execute(query, (prompt, describer, most)).fetchone()
        return Usage(measured or 0, *means)

    def counts(self, prompt: str | None = None, describer: str | None = None) -> dict[State, int]:
        """How many descriptions are in each state that occurs."""
        query = (
            "SELECT state, COUNT(*), MIN(digest) FROM descriptions WHERE (:prompt IS NULL OR prompt = :prompt)"
            " AND (:describer IS NULL OR describer = :describer) GROUP BY state"
        )
        rows = self._connection.execute(query, {"prompt": prompt, "describer": describer})
        counted = {read_state(state, digest): number for state, number, digest in rows}
        return {state: counted[state] for state in State if state in counted}


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
