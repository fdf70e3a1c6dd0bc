"""The gallery: images and their descriptions, to look through from disk or to work in over loopback."""

from gpt4image.report.gallery.stage import GalleryResult, GallerySettings, gallery

__all__ = ["GalleryResult", "GallerySettings", "gallery"]
