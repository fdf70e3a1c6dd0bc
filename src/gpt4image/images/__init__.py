"""Image sets: images with keys, labels and digests, whatever form they are stored in."""

from gpt4image.images.image_set import UNLABELLED, ImageSet
from gpt4image.images.open import open_images
from gpt4image.images.scan import Scan, scan_images

__all__ = ["UNLABELLED", "ImageSet", "Scan", "open_images", "scan_images"]
