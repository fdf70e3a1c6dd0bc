"""The SQLite file of the store: where it lies, its tables, its version."""

import os
import sqlite3
from pathlib import Path

from gpt4image.errors import DescriptionError

FILE_NAME = "descriptions.sqlite"
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE images (digest TEXT PRIMARY KEY, key TEXT NOT NULL, class_name TEXT) WITHOUT ROWID;
CREATE TABLE last_registered (fingerprint TEXT NOT NULL);
CREATE TABLE prompts (name TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE batches (key TEXT PRIMARY KEY, prompt TEXT, describer TEXT, max_tokens INTEGER) WITHOUT ROWID;
CREATE TABLE descriptions (
    digest TEXT NOT NULL, prompt TEXT NOT NULL, describer TEXT NOT NULL, sample INTEGER NOT NULL,
    state TEXT NOT NULL, text TEXT NOT NULL, reasoning TEXT NOT NULL,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, attempts INTEGER NOT NULL,
    error TEXT NOT NULL, seconds REAL NOT NULL, max_tokens INTEGER NOT NULL,
    author TEXT NOT NULL, created TEXT NOT NULL
);
CREATE UNIQUE INDEX descriptions_key ON descriptions (digest, prompt, describer, sample);
CREATE INDEX descriptions_by_state ON descriptions (prompt, describer, sample, state, digest);
"""
CACHE_KIB = 16 * 1024
"""Most memory for pages of the file. Large writes come in the order of the indices, so that a few pages are enough."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a store, which is made if there is none; what is written is on disk when it is committed.

    Raises:
        DescriptionError: the file is none of ours, or of another version.
    """
    connection = open_file(path)
    try:
        if is_writable(path):
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
    except sqlite3.OperationalError:
        raise  # Full, locked or read-only, which is nothing about the file.
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # What SQLite quotes may be garbled, too.
        raise DescriptionError(
            f"{path} is no store of descriptions ({error}); choose another folder, or put a copy of it in its place"
        ) from error
    if version not in (0, SCHEMA_VERSION):
        raise DescriptionError(
            f"{path} has the form {version}, this gpt4image writes {SCHEMA_VERSION}; use the version that wrote it"
        )
    return connection


def is_writable(path: Path) -> bool:
    """Whether a store can be changed where it lies: beside it SQLite needs files of its own."""
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def open_file(path: Path) -> sqlite3.Connection:
    """A bare connection to a store; one that cannot be written is opened to be looked at.

    Raises:
        DescriptionError: it cannot be looked at where it is.
    """
    if is_writable(path):
        return sqlite3.connect(path, timeout=60, isolation_level=None)
    journal = path.with_name(path.name + "-wal")
    if journal.exists() and journal.stat().st_size:
        raise DescriptionError(
            f"{path} was not closed and cannot be written; copy {path.name} and {journal.name} to a folder where you "
            "can write"
        )
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)


def find_store(work: Path) -> Path:
    """The file of a work folder's store.

    Raises:
        DescriptionError: there is none.
    """
    path = work / FILE_NAME
    if not path.is_file():
        raise DescriptionError(f"{path} does not exist; write descriptions first: gpt4image describe IMAGES {work}")
    return path
