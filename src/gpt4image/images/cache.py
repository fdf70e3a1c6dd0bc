"""Where what is known of image sets is remembered between calls."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`gpt4image` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gpt4image"
