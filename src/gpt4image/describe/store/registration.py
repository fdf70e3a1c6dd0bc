"""Enters the images of a set into the store: their names, and those that cannot be read."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpt4image.describe.prompts.parse import Prompt
from gpt4image.describe.store.rows import DescribedImage, Description
from gpt4image.describe.store.states import State
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.errors import SettingsError
from gpt4image.images import ImageSet, Scan
from gpt4image.images.scan import find_conflicts

BATCH_SIZE = 10_000


def register_images(
    images: ImageSet, scan: Scan, store: DescriptionStore, prompts: Sequence[str], describer: str
) -> None:
    """Writes key and class of every image, and the state `unreadable_image` for each that cannot be decoded."""
    fingerprint = _fingerprint(images, scan)
    # Those whose bytes cannot even be read have a digest of their own in the store.
    digests = [digest or f"key:{key}" for key, digest in zip(images.keys, scan.digests, strict=True)]
    if not store.has_registered(fingerprint):
        # Ordered by digest: a table grows several times faster at its end than all over.
        order = sorted(range(len(images)), key=scan.digests.__getitem__)
        store.write_images(DescribedImage(digests[i], images.keys[i], images.class_name(i)) for i in order)
        conflicts = [index for copies in find_conflicts(images, scan.digests) for index in copies]
        store.write_conflicts(
            DescribedImage(scan.digests[index], images.keys[index], images.class_name(index)) for index in conflicts
        )
        store.note_registered(fingerprint)
    failed: dict[str, Any] = {"state": State.UNREADABLE_IMAGE, "attempts": 0}
    store.write(
        Description(digests[index], prompt, describer, error=scan.errors[images.keys[index]], **failed)
        for index in (~scan.readable).nonzero()[0].tolist()
        for prompt in prompts
    )


def remember_prompts(store: DescriptionStore, prompts: Sequence[Prompt]) -> None:
    """Keeps the wording of every prompt that has one, so that a name stands for one wording forever.

    Raises:
        SettingsError: a name stands for another wording already.
    """
    for prompt in prompts:
        if prompt.template and (known := store.prompt_identity(prompt.name, prompt.identity)) != prompt.identity:
            raise SettingsError(
                f"--prompt {prompt.name} stands for another wording in {store.path}: {known!r}; "
                "give the new one another name"
            )


def _fingerprint(images: ImageSet, scan: Scan) -> str:
    """Hash of all digests, keys and classes, in their order."""
    running = hashlib.sha256("\n".join(images.classes).encode())
    running.update(np.ascontiguousarray(images.labels).tobytes())
    for names in (scan.digests, images.keys):
        for start in range(0, len(images), BATCH_SIZE):
            running.update("\n".join(names[start : start + BATCH_SIZE]).encode())
    return running.hexdigest()
