"""The SQLite file of the store: where it lies, its tables, its version."""

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
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
    except sqlite3.DatabaseError as error:
        raise DescriptionError(f"{path} is no store of descriptions ({error}); choose another folder") from error
    if version not in (0, SCHEMA_VERSION):
        raise DescriptionError(
            f"{path} has the form {version}, this gpt4image writes {SCHEMA_VERSION}; use the version that wrote it"
        )
    return connection


def find_store(work: Path) -> Path:
    """The file of a work folder's store.

    Raises:
        DescriptionError: there is none.
    """
    path = work / FILE_NAME
    if not path.is_file():
        raise DescriptionError(f"{path} does not exist; write descriptions first: gpt4image describe IMAGES {work}")
    return path
