"""The gallery as static files."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gpt4image.files import atomic_path, write_text
from gpt4image.progress import track
from gpt4image.report.gallery.data import GalleryData
from gpt4image.report.page import make_environment
from gpt4image.report.pictures import Pictures

PAGE = "index.html"
SIDE, QUALITY = 200, 75
"""Longer side of a thumbnail in pixels, and its quality as a JPEG file."""


def thumbnail_name(digest: str) -> str:
    """Where a thumbnail lies: 256 folders, so that none holds too many files."""
    return f"thumbnails/{digest[:2]}/{digest[2:]}.jpg"


def write_gallery(data: GalleryData, folder: Path) -> Path:
    """Writes page and data; returns the page's path."""
    for number in range(data.num_parts()):
        write_text(folder / "data" / f"{number}.js", data.part_script(number))
    write_text(folder / "data" / "index.js", data.index_script())
    for old in (folder / "data").glob("[0-9]*.js"):
        if int(old.stem) >= data.num_parts():
            old.unlink()
    write_text(folder / PAGE, render_page(data))
    return folder / PAGE


def render_page(data: GalleryData) -> str:
    """The page as HTML; it loads the data that lie beside it."""
    return make_environment().get_template("gallery.html.j2").render(title=data.title, reviewed=data.reviewed)


def write_thumbnails(pictures: Pictures, folder: Path) -> frozenset[str]:
    """Writes the thumbnails that are not there yet, in threads; returns the digests that have one."""
    digests = list(pictures.index)
    missing = [digest for digest in digests if not (folder / thumbnail_name(digest)).exists()]
    if missing:
        with ThreadPoolExecutor(os.cpu_count()) as pool, track("thumbnails", len(missing)) as tracker:
            for _ in pool.map(lambda digest: _write_thumbnail(pictures, digest, folder), missing):
                tracker.advance()
    return frozenset(digest for digest in digests if (folder / thumbnail_name(digest)).exists())


def _write_thumbnail(pictures: Pictures, digest: str, folder: Path) -> None:
    encoded = pictures.jpeg(digest, SIDE, QUALITY)
    if encoded is not None:
        with atomic_path(folder / thumbnail_name(digest)) as temporary:
            temporary.write_bytes(encoded)
