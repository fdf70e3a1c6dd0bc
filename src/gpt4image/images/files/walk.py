"""Finds the images in a folder, and counts what else lies there."""

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gpt4image.images.decoding.formats import image_suffixes, name_left_out
from gpt4image.images.files.names import escape_name
from gpt4image.images.remarks import Remarks

NOT_OF_THE_SET = frozenset(
    (
        *("__macosx", "@eadir", "#recycle", "@recycle", "#snapshot", "$recycle.bin", "system volume information"),
        *("lost+found", "__pycache__"),
    )
)
"""Folders that archives, network drives and programs leave among photos, in lower case; hidden ones go anyway."""

_Identity = tuple[int, int]


@dataclass
class Walk:
    """What was found in a folder, under the names that the file system has.

    Attributes:
        folders: the folders directly in it that may be classes.
        names: the images, relative to it, with forward slashes.
        remarks: what was left out.
    """

    folders: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    remarks: Remarks = field(default_factory=Remarks)


def walk_folder(root: Path) -> Walk:
    """Looks through a folder and all within it.

    Links to folders are followed after everything else, and each folder is entered once: links in a circle end.

    Raises:
        OSError: `root` itself cannot be read.
    """
    walk, links = Walk(), deque[str]()
    above = [root.resolve(), *root.resolve().parents]
    entered = {identity for folder in above if (identity := _identify(folder)) is not None}
    _enter(root, "", walk, links, entered)
    while links:
        link = links.popleft()
        identity = _identify(root / link)
        if identity is None:
            walk.remarks.leave_out("link (leads nowhere)", escape_name(link))
        elif identity in entered:
            walk.remarks.leave_out("link (to a folder that is in the set already)", escape_name(link))
        else:
            entered.add(identity)
            if "/" not in link:
                walk.folders.append(link)
            _enter(root, link, walk, links, entered)
    return walk


def _enter(root: Path, start: str, walk: Walk, links: deque[str], entered: set[_Identity]) -> None:
    folders = [start]
    while folders:
        current = folders.pop()
        try:
            entries = sorted(os.scandir(root / current), key=lambda entry: entry.name)
        except OSError:
            if current == "":
                raise
            walk.remarks.leave_out("folder (cannot be read)", escape_name(current))
            continue
        within: list[str] = []
        for entry in entries:
            name = f"{current}/{entry.name}" if current else entry.name
            if not _is_folder(entry):
                _take_or_count(entry, name, walk)
            elif is_left_out([entry.name]):
                walk.remarks.leave_out("folder (not part of the set)", escape_name(name))
            elif entry.is_symlink():
                links.append(name)
            elif (identity := _identify(root / name)) not in entered:
                entered |= {identity} if identity else set()
                within.append(name)
                if not current:
                    walk.folders.append(name)
        folders += reversed(within)


def _take_or_count(entry: "os.DirEntry[str]", name: str, walk: Walk) -> None:
    suffix = os.path.splitext(entry.name)[1].lower()
    if entry.name.startswith("."):
        walk.remarks.leave_out("hidden file", escape_name(name))
    elif suffix in image_suffixes():
        # Whatever it is: a link to nothing or a named pipe is recorded by name as an image that cannot be read.
        walk.names.append(name)
    elif entry.is_symlink() and not os.path.exists(entry.path):
        walk.remarks.leave_out("link (leads nowhere)", escape_name(name))
    else:
        walk.remarks.leave_out(name_left_out(escape_name(suffix)), escape_name(name))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _identify(folder: Path) -> _Identity | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_left_out(parts: Iterable[str]) -> bool:
    """Whether one of the parts of a name is hidden, or left by an archive or a drive."""
    return any(part.startswith(".") or part.lower() in NOT_OF_THE_SET for part in parts)
