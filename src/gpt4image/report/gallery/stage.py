"""The gallery of a store: static pages that open from disk, or served on loopback to work in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.report.pictures import Pictures


@dataclass(frozen=True)
class GallerySettings:
    """Look through images and their descriptions: static pages, or served to edit, reject and re-queue.

    Attributes:
        work: work folder with the descriptions.
        images: the images described, to show them: a folder, a list, or fashion-mnist:1k; without them only texts
            are shown.
        out: folder for the static pages; WORK/gallery if not given.
        serve: serve the gallery until interrupted; changes go into the store.
        host: address to serve on; another than loopback lets other machines in who know the token.
        port: to serve on; 0 takes a free one.
        author: who is written down as the author of changes.
        lint: mark the descriptions that fail a check of gpt4image lint.
    """

    work: Path
    images: str | None = None
    out: Path | None = None
    serve: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    author: str = "person"
    lint: bool = True


@dataclass(frozen=True)
class GalleryResult(StageResult):
    """What was written or served.

    Attributes:
        page: the page to open; None if it was served.
        images: images shown.
        descriptions: texts shown.
        pictures: images that can be seen.
    """

    page: Path | None
    images: int
    descriptions: int
    pictures: int

    def lines(self) -> Iterator[Any]:
        yield f"{self.images:,} images with {self.descriptions:,} descriptions; {self.pictures:,} can be seen"
        if self.page is not None:
            yield f"gallery: {self.page}"


def gallery(settings: GallerySettings) -> GalleryResult:
    """Writes or serves the gallery.

    Raises:
        DescriptionError: there is no store.
        ImageSetError: the images cannot be opened.
        SettingsError: the address cannot be used.
    """
    from gpt4image.images import open_images
    from gpt4image.report.gallery.data import GalleryData
    from gpt4image.report.gallery.entries import read_entries
    from gpt4image.report.gallery.pages import write_gallery, write_thumbnails
    from gpt4image.report.pictures import index_pictures

    entries = read_entries(settings.work, settings.lint)
    pictures = None if settings.images is None else index_pictures(open_images(settings.images))
    if settings.serve:
        shown = frozenset(pictures.index) if pictures else frozenset()
        data = GalleryData(entries, shown, settings.work.resolve().name, editable=True)
        _serve(settings, data, pictures)
        page = None
    else:
        folder = settings.out or settings.work / "gallery"
        shown = write_thumbnails(pictures, folder) if pictures else frozenset()
        page = write_gallery(GalleryData(entries, shown, settings.work.resolve().name), folder)
    count = sum(len(entry.descriptions) for entry in entries)
    return GalleryResult(page, len(entries), count, sum(entry.digest in shown for entry in entries))


def _serve(settings: GallerySettings, data: Any, pictures: "Pictures | None") -> None:
    from gpt4image.describe.store.edits import Editor
    from gpt4image.progress import say
    from gpt4image.report.gallery.server import GalleryServer

    editor = Editor(settings.work, settings.author)
    with GalleryServer(data, pictures, editor, settings.host, settings.port) as server:
        print(server.url, flush=True)
        say("serving the gallery at the address above; stop with Ctrl-C")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped; every change is in the store")
