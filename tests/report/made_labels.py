"""Makes photos and weighed labels by hand: image number n is the n-th in the order of what an answer is worth."""

from pathlib import Path

import numpy as np
from PIL import Image

from gpt4image.images import open_images, scan_images
from gpt4image.label.artifact import LabelTable, Opinions, save_labels

CLASSES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay", "koi", "lynx")


def draw_photos(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        colour = (40 * number % 256, 90, 255 - 20 * number % 256)
        Image.new("RGB", (300, 200), colour).save(folder / f"{number:03}.png")


def make_labels(folder: Path, count: int = 6, name: str = "default") -> LabelTable:
    """Draws `folder/photos` and writes `folder/work/labels/NAME`.

    Image n has the given label n mod 3, is proposed to be of class 2 n mod 3 with growing confidence; witnesses are a
    pick, which names class n mod 3, and texts, which name class 11 of every image.
    """
    if not (folder / "photos").exists():
        draw_photos(folder / "photos", count)
    images = open_images(str(folder / "photos"))
    digests = scan_images(images).digests
    return write_labels(folder / "work" / "labels" / name, images.keys, digests, str(folder / "photos"))


def write_labels(folder: Path, keys: list[str], digests: list[str], source: str) -> LabelTable:
    """The artifact alone; the images need not be there."""
    import pyarrow as pa

    count = len(keys)
    numbers = np.arange(count)
    given, proposed = numbers % 3, 2 * numbers % 3
    confidence = np.linspace(0.3, 0.9, count).astype(np.float32)
    order = (proposed[:, None] + np.arange(len(CLASSES))) % len(CLASSES)
    values = np.full((count, len(CLASSES)), 0.0, dtype=np.float16)
    values[:, 0], values[:, 1] = confidence, 1 - confidence
    names = np.array(CLASSES, dtype=object)
    columns = {
        "key": keys,
        "digest": digests,
        "given": names[given].tolist(),
        "picked": names[given].tolist(),
        "proposed": names[proposed].tolist(),
        "confidence": confidence,
        "state": pa.array(np.where(given == proposed, "kept", "overruled")).dictionary_encode(),
        "none": np.zeros(count, dtype=np.float32),
        "doubt": np.where(given == proposed, -1, 1).astype(np.float32),
        "classes": pa.FixedSizeListArray.from_arrays(pa.array(order.astype(np.int32).ravel()), len(CLASSES)),
        "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), len(CLASSES)),
    }
    opinions = {
        "pick:pick_class by vlm": Opinions(given, np.full(count, 0.8, dtype=np.float32)),
        "detailed@1": Opinions(np.full(count, 11), np.full(count, 0.4, dtype=np.float32)),
    }
    return save_labels(folder, columns, opinions, {"classes": list(CLASSES), "source": source})
