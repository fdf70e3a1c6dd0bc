"""Settings of the documentation: `make docs` builds it into docs/_build."""

import re

from gpt4image import __version__

project = "gpt4image"
copyright = "The gpt4image authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "gpt4image"
html_copy_source = False

myst_heading_anchors = 3
default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_ivar = True


def _read_as_plain_text(app, what, name, obj, options, lines):
    """Docstrings are plain text with `code`: pipes and asterisks in them are no markup."""
    for number, line in enumerate(lines):
        parts = re.split(r"(`[^`]*`)", line)
        parts[::2] = [re.sub(r"([|*])|_(?=\W|$)", lambda match: f"\\{match.group()}", part) for part in parts[::2]]
        lines[number] = "".join(parts)


def setup(app):
    app.connect("autodoc-process-docstring", _read_as_plain_text, priority=400)
