"""The gallery of a work folder: static pages that open from disk, or served on loopback to work in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.results import StageResult

if TYPE_CHECKING:
    from gpt4image.label.artifact import LabelTable
    from gpt4image.report.gallery.data import GalleryData
    from gpt4image.report.pictures import Pictures


@dataclass(frozen=True)
class GallerySettings:
    """Look through images, texts and labels: static pages, or served to edit and to answer.

    Attributes:
        work: work folder with descriptions, labels, or both.
        images: the images described, to show them: a folder, a list, or fashion-mnist:1k; those that were labelled
            if not given, and without any only texts are shown.
        out: folder for the static pages; WORK/gallery if not given.
        serve: serve the gallery until interrupted; changes go into the store, answers about labels into WORK/labels.
        host: address to serve on; another than loopback lets other machines in who know the token.
        port: to serve on; 0 takes a free one.
        author: who is written down as the author of changes of texts.
        lint: mark the descriptions that fail a check of gpt4image lint.
        labels: name of the labels in WORK/labels that are shown, and asked about when served.
    """

    work: Path
    images: str | None = None
    out: Path | None = None
    serve: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    author: str = "person"
    lint: bool = True
    labels: str = "default"


@dataclass(frozen=True)
class GalleryResult(StageResult):
    """What was written or served.

    Attributes:
        page: the page to open; None if it was served.
        images: images shown.
        descriptions: texts shown.
        pictures: images that can be seen.
        labelled: images with a weighed label.
    """

    page: Path | None
    images: int
    descriptions: int
    pictures: int
    labelled: int = 0

    def lines(self) -> Iterator[Any]:
        yield f"{self.images:,} images with {self.descriptions:,} descriptions; {self.pictures:,} can be seen"
        if self.labelled:
            yield f"{self.labelled:,} of them with weighed labels"
        if self.page is not None:
            yield f"gallery: {self.page}"


def gallery(settings: GallerySettings) -> GalleryResult:
    """Writes or serves the gallery.

    Raises:
        DescriptionError: there is neither a store nor labels.
        LabelError: there are no labels of that name.
        ImageSetError: the images cannot be opened.
        SettingsError: the address cannot be used.
    """
    from gpt4image.describe.store.connect import FILE_NAME
    from gpt4image.report.gallery.data import GalleryData
    from gpt4image.report.gallery.entries import read_entries
    from gpt4image.report.gallery.pages import write_gallery, write_thumbnails

    table = _open_labels(settings)
    entries = read_entries(settings.work, settings.lint, table)
    pictures, title = _open_pictures(settings, table), settings.work.resolve().name
    if settings.serve:
        shown = frozenset(pictures.index) if pictures else frozenset()
        editable = (settings.work / FILE_NAME).exists()
        _serve(settings, GalleryData(entries, shown, title, editable, reviewed=table is not None), pictures, table)
        page = None
    else:
        folder = settings.out or settings.work / "gallery"
        shown = write_thumbnails(pictures, folder) if pictures else frozenset()
        page = write_gallery(GalleryData(entries, shown, title), folder)
    return GalleryResult(
        page=page,
        images=len(entries),
        descriptions=sum(len(entry.descriptions) for entry in entries),
        pictures=sum(entry.digest in shown for entry in entries),
        labelled=sum(entry.label is not None for entry in entries),
    )


def _open_labels(settings: GallerySettings) -> "LabelTable | None":
    """Labels of the name asked for; none is no mistake unless a name was given."""
    from gpt4image.errors import LabelError
    from gpt4image.label.artifact import LabelTable

    try:
        return LabelTable.open(settings.work, settings.labels)
    except LabelError:
        if settings.labels != GallerySettings.labels:
            raise
        return None


def _open_pictures(settings: GallerySettings, table: "LabelTable | None") -> "Pictures | None":
    """The images named, or those that were labelled if they are still there."""
    from gpt4image.errors import ImageSetError
    from gpt4image.images import open_images
    from gpt4image.progress import say
    from gpt4image.report.pictures import index_pictures

    if settings.images is not None:
        return index_pictures(open_images(settings.images))
    if table is None:
        return None
    try:
        return index_pictures(open_images(table.manifest["source"]))
    except ImageSetError as error:
        say(f"no picture can be seen ({error}); say where the images are with --images")
        return None


def _serve(
    settings: GallerySettings, data: "GalleryData", pictures: "Pictures | None", table: "LabelTable | None"
) -> None:
    from gpt4image.describe.store.edits import Editor
    from gpt4image.progress import say
    from gpt4image.report.gallery.server import GalleryServer
    from gpt4image.report.labels.queue import ReviewQueue

    editor = Editor(settings.work, settings.author) if data.editable else None
    queue = None if table is None else ReviewQueue(settings.work, table)
    with GalleryServer(data, pictures, editor, settings.host, settings.port, queue) as server:
        try:
            print(server.url, flush=True)
            say("serving the gallery at the address above; stop with Ctrl-C")
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped; every change is on disk")
