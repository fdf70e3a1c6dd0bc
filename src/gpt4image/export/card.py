"""The model card: where the model comes from, what it achieves, what it costs, what to mind."""

from pathlib import Path
from typing import Any

from gpt4image.evaluate.record import read_measures
from gpt4image.files import read_json
from gpt4image.runs import EVALUATION, RunManifest
from gpt4image.shown import in_words


def render_card(run: Path, name: str, manifest: RunManifest, verification: dict[str, Any]) -> str:
    """Renders the card as Markdown with the metadata header that model hubs read.

    Args:
        run: the run; its evaluation and the comparison it belongs to are used if they exist.
        name: of the export.
        manifest: of the run.
        verification: contents of verification.json.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("gpt4image.export", "templates"), trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    return environment.get_template("card.md.j2").render(
        name=name,
        run=manifest,
        text=_flatten(manifest.text),
        settings=manifest.settings,
        evaluation=read_measures(run / EVALUATION) if (run / EVALUATION).exists() else None,
        comparison=find_comparison(run),
        verification=verification,
        in_words=in_words,
    )


def find_comparison(run: Path) -> dict[str, Any] | None:
    """The place of a run in the comparison folder around it: title, situation, arm, seeds, difference, seconds."""
    run = run.resolve()
    for folder in list(run.parents)[:4]:
        path = folder / "comparison.json"
        if path.exists():
            return _find_arm(read_json(path), run.relative_to(folder).as_posix())
    return None


def _find_arm(comparison: dict[str, Any], path: str) -> dict[str, Any] | None:
    for situation in comparison.get("situations", []):
        for arm, record in situation.get("arms", {}).items():
            if any(run.get("path") == path for run in record.get("runs", [])):
                return {
                    "title": comparison.get("title", ""),
                    "situation": situation.get("name", ""),
                    "arm": arm,
                    "seeds": [run.get("seed") for run in record["runs"]],
                    "top1_mean": record.get("top1_mean"),
                    "difference": situation.get("differences", {}).get(arm),
                    "seconds": comparison.get("seconds"),
                }
    return None


def _flatten(text: dict[str, Any]) -> dict[str, Any]:
    """The facts about the text side without nesting; an inner fact does not hide an outer one of the same name."""
    flat = {name: value for name, value in text.items() if not isinstance(value, dict)}
    for value in text.values():
        if isinstance(value, dict):
            flat = {**_flatten(value), **flat}
    return flat
