"""The gallery as static files."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gpt4image.errors import UnreadableImageError
from gpt4image.files import atomic_path, write_text
from gpt4image.progress import track
from gpt4image.report.gallery.data import GalleryData
from gpt4image.report.pictures.find import Pictures
from gpt4image.report.pictures.thumbnails import encode_jpeg, make_thumbnail

PAGE = "index.html"
SIDE = 200
"""Longer side of a thumbnail in pixels."""


def thumbnail_name(digest: str) -> str:
    """Where a thumbnail lies: 256 folders, so that none holds too many files."""
    return f"thumbnails/{digest[:2]}/{digest[2:]}.jpg"


def write_gallery(data: GalleryData, folder: Path) -> Path:
    """Writes page and data; returns the page's path."""
    from gpt4image.report.page import make_environment

    for number in range(data.num_parts()):
        write_text(folder / "data" / f"{number}.js", data.part_script(number))
    write_text(folder / "data" / "index.js", data.index_script())
    for old in (folder / "data").glob("[0-9]*.js"):
        if int(old.stem) >= data.num_parts():
            old.unlink()
    page = make_environment().get_template("gallery.html.j2").render(title=data.title)
    write_text(folder / PAGE, page)
    return folder / PAGE


def write_thumbnails(pictures: Pictures, folder: Path) -> frozenset[str]:
    """Writes the thumbnails that are not there yet, in threads; returns the digests that have one."""
    digests = list(pictures.index)
    missing = [digest for digest in digests if not (folder / thumbnail_name(digest)).exists()]
    if missing:
        with ThreadPoolExecutor(os.cpu_count()) as pool, track("thumbnails", len(missing)) as tracker:
            for _ in pool.map(lambda digest: _write_thumbnail(pictures, digest, folder), missing):
                tracker.advance()
    return frozenset(_existing(digests, folder))


def encode_thumbnail(pictures: Pictures, digest: str) -> bytes | None:
    """The JPEG bytes of one thumbnail, None if the image is gone."""
    try:
        image = pictures.images.decode(pictures.index[digest], draft_size=(SIDE, SIDE))
    except (UnreadableImageError, KeyError):
        return None
    return encode_jpeg(make_thumbnail(image, SIDE), quality=75)


def _write_thumbnail(pictures: Pictures, digest: str, folder: Path) -> None:
    encoded = encode_thumbnail(pictures, digest)
    if encoded is not None:
        with atomic_path(folder / thumbnail_name(digest)) as temporary:
            temporary.write_bytes(encoded)


def _existing(digests: list[str], folder: Path) -> Iterator[str]:
    yield from (digest for digest in digests if (folder / thumbnail_name(digest)).exists())
