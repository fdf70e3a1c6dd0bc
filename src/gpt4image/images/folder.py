"""Image sets in folders: one sub-folder a class, in torchvision's ImageFolder order."""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from gpt4image.errors import ImageSetError
from gpt4image.images.files.names import escape_name
from gpt4image.images.files.store import FileStore
from gpt4image.images.files.walk import Walk, walk_folder
from gpt4image.images.image_set import UNLABELLED, ImageSet
from gpt4image.images.remarks import enumerate_names
from gpt4image.images.tables.labels import NO_LABEL, PERHAPS_NO_LABEL, name_class, remark_alike

__all__ = ["UNLABELLED_FOLDER", "FileStore", "open_folder"]

UNLABELLED_FOLDERS = UNLABELLED_FOLDER, AMERICAN = "_unlabelled", "_unlabeled"
PART = re.compile(
    r"(train|training|val|valid|validation|test|testing|dev|eval)[\W_\d]*(set|data|split|images?|imgs?|photos)?[\W_\d]*"
)
"""Names of folders that hold parts of a set rather than classes."""
DOUBTFUL = PERHAPS_NO_LABEL | set(NO_LABEL)


def open_folder(source: str, root: Path) -> ImageSet:
    """Opens a folder. Sub-folders are the classes, sorted by name; images may lie deeper inside them.

    Deviations from ImageFolder: all that Pillow decodes is taken; hidden files and folders and those that archives and
    network drives leave are passed over, the images in `_unlabelled` have no label, and a folder without sub-folders is
    a set of unlabelled images. `remarks` counts and names what was left out.

    Raises:
        ImageSetError: images lie beside the class folders, where they would have no class, or it cannot be read.
    """
    try:
        walk = walk_folder(root)
    except OSError as error:
        raise ImageSetError(f"{source} cannot be read ({error.strerror}); images must be readable files") from error
    loose = [name for name in walk.names if "/" not in name]
    if loose and walk.folders:
        raise ImageSetError(
            f"{source} has {len(loose)} image{'s' * (len(loose) != 1)} beside its class folders "
            f"(such as {escape_name(loose[0])}); move them into one, or into {UNLABELLED_FOLDER} if they have no label"
        )
    if loose:
        walk.remarks.add(
            f"there are no class folders: all {len(loose):,} images are taken as unlabelled "
            "(one sub-folder a class makes labels)"
        )
    names, classes, labels = _label(walk)
    _remark_folders(walk, source, classes, labels)
    keys = [escape_name(name) for name in names]
    store = FileStore(root, names)
    return ImageSet(source, keys, labels, classes, store, np.arange(len(keys)), remarks=walk.remarks)


def _label(walk: Walk) -> tuple[list[str], tuple[str, ...], np.ndarray]:
    """Names in the order of their folders, the classes, and the labels."""
    of_folder: dict[str, list[str]] = defaultdict(list)
    for name in walk.names:
        of_folder[name.partition("/")[0] if "/" in name else ""].append(name)
    folders = sorted(walk.folders)
    classes = tuple(dict.fromkeys(name_class(escape_name(name)) for name in folders if name not in UNLABELLED_FOLDERS))
    number = {name: label for label, name in enumerate(classes)}
    names, labels = [], []
    for folder in folders or [""]:
        own = sorted(of_folder[folder])
        names += own
        is_class = folder and folder not in UNLABELLED_FOLDERS
        labels += [number[name_class(escape_name(folder))] if is_class else UNLABELLED] * len(own)
    return names, classes, np.array(labels, dtype=np.int64)


def _remark_folders(walk: Walk, source: str, classes: tuple[str, ...], labels: np.ndarray) -> None:
    """Says of the folders what looks like a mistake."""
    add = walk.remarks.add
    used = set(labels.tolist())
    empty = [name for label, name in enumerate(classes) if label not in used]
    if empty:
        folders = "1 class folder holds" if len(empty) == 1 else f"{len(empty):,} class folders hold"
        add(f"{folders} no images: {enumerate_names(empty)}")
    if AMERICAN in walk.folders:
        add(f"{AMERICAN} is taken for {UNLABELLED_FOLDER}: its images have no label")
    alike = [name for name in classes if {name.lower(), name.strip("_").lower()} & DOUBTFUL]
    if alike:
        is_taken, it, whose = (
            ("is taken for a class", "it", "its") if len(alike) == 1 else ("are taken for classes", "them", "their")
        )
        add(f"{enumerate_names(alike)} {is_taken}; call {it} {UNLABELLED_FOLDER} if {whose} images have no label")
    labelled = [name for name in walk.names if name.partition("/")[0] in set(walk.folders) - set(UNLABELLED_FOLDERS)]
    filled = [name for label, name in enumerate(classes) if label in used]
    if classes and all(PART.fullmatch(name.lower()) for name in classes):
        words = "is taken for a class, but looks like a part of a set: give"
        if len(classes) > 1:
            words = "are taken for classes, but look like parts of a set: give one of them, such as"
        add(f"{enumerate_names(list(classes))} {words} {source.rstrip('/')}/{classes[0]}")
    elif len(filled or classes) == 1:
        (only,) = filled or classes
        words = "is the only class with images" if len(classes) > 1 else "is the only class"
        add(f"{only} {words}; if it holds the classes, give {source.rstrip('/')}/{only}")
    elif labelled and all(name.count("/") > 1 for name in labelled):
        add(
            f"the classes are {enumerate_names(list(classes))}, but all images lie deeper, such as "
            f"{escape_name(labelled[0])}: give one of these folders if it holds the classes"
        )
    remark_alike([escape_name(name) for name in walk.folders if name not in UNLABELLED_FOLDERS], walk.remarks)
