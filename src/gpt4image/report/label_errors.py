"""Label errors: the training images whose label a run's reader overruled, for a person to check."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4image.errors import DescriptionError, RunError, SettingsError
from gpt4image.files import write_csv
from gpt4image.results import StageResult

if TYPE_CHECKING:
    import numpy as np

    from gpt4image.images import ImageSet
    from gpt4image.runs import RunManifest
    from gpt4image.train.data.inputs import Inputs
    from gpt4image.train.settings import TrainSettings


@dataclass(frozen=True)
class LabelErrorsSettings:
    """List labels to check: those that label and text together overrule, most probable errors first.

    Attributes:
        run: folder of a finished run that was trained with the reader. What its image model says is shown too, but
            that is no independent witness: it was trained on these images, on what label and text say together.
        work: the work folder, if it is no longer where the run found it.
        csv: write all labels to check to this file.
        page: write the images to this HTML file, which needs no other file.
        top: how many are shown, in the terminal and on the page.
        batch_size: images at a time.
        workers: processes that decode images; 0 decodes in the main process.
        device: auto, cpu, cuda, cuda:N or mps.
    """

    run: Path
    work: Path | None = None
    csv: Path | None = None
    page: Path | None = None
    top: int = 20
    batch_size: int = 128
    workers: int = 2
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.top < 1:
            raise SettingsError(f"--top is {self.top}; it must be at least 1")


@dataclass(frozen=True)
class LabelError:
    """One image whose label is overruled.

    Attributes:
        key: of the image.
        label: the class that it was given.
        suggested: the most probable class by text and label together.
        probability: of the suggested class.
        text_says: the most probable class by the text alone; the reader did not see this image's label.
        text_probability: of that class, calibrated.
        model_says: what the run's final model predicts; it was trained on the weighed target of this image.
        model_probability: of that class.
        agree: text and image model name the same class, and it is not the label.
        texts: the descriptions.
    """

    key: str
    label: str
    suggested: str
    probability: float
    text_says: str
    text_probability: float
    model_says: str
    model_probability: float
    agree: bool
    texts: tuple[str, ...]


@dataclass(frozen=True)
class LabelErrorsResult(StageResult):
    """The labels to check, most probable errors first.

    Attributes:
        found: the first `top` of them.
        num_found: all of them.
        num_agree: how many of all the text and the image model agree on.
        num_weighed: images that have both label and text.
        noise: the reader's estimate of the share of wrong labels.
        csv: the file of all, if one was written.
        page: the HTML page, if one was written.
    """

    found: tuple[LabelError, ...]
    num_found: int
    num_agree: int
    num_weighed: int
    noise: float
    csv: Path | None
    page: Path | None

    def lines(self) -> Iterator[Any]:
        from rich.markup import escape
        from rich.table import Table

        if self.found:
            table = Table("", "image", "label", "suggested", "text says", "image model says", "agree")
            for rank, one in enumerate(self.found, 1):
                by_text = f"{one.text_says} {one.text_probability:.2f}"
                by_model = f"{one.model_says} {one.model_probability:.2f}"
                suggested = f"{one.suggested} {one.probability:.2f}"
                cells = (str(rank), one.key, one.label, suggested, by_text, by_model, "yes" if one.agree else "")
                table.add_row(*map(escape, cells))
            yield table
        agree = f"text and image model agree on {self.num_agree:,}"
        yield f"{self.num_found:,} of {self.num_weighed:,} labels to check; {agree}"
        yield f"the reader takes {self.noise:.1%} of the labels for wrong"
        yield "the image model was trained on what label and text say together: it is no independent witness"
        yield from (f"{name}: {path}" for name, path in (("CSV", self.csv), ("page", self.page)) if path is not None)


def find_label_errors(settings: LabelErrorsSettings) -> LabelErrorsResult:
    """Reads the texts again as the run did, with its settings and seed, and lists the labels that are overruled.

    Raises:
        RunError: the run used no reader, its images or texts have changed, or its work folder is gone.
        ImageSetError: the training images cannot be opened.
        DescriptionError: the work folder does not hold the run's text embeddings.
    """
    import numpy as np

    from gpt4image.images import UNLABELLED
    from gpt4image.label.weigh import weigh_labels
    from gpt4image.runs import load_manifest
    from gpt4image.train.data.inputs import load_inputs
    from gpt4image.train.run_folder import load_content

    manifest = load_manifest(settings.run)
    if "noise" not in manifest.reader:
        raise RunError(
            f"{settings.run} did not weigh labels against texts; label-errors needs a run with labels that was trained "
            "with descriptions and the reader (train --work WORK --reader)"
        )
    train_settings = _restore_settings(settings, manifest)
    inputs = load_inputs(train_settings)
    if inputs.content() != load_content(settings.run):
        raise RunError(f"images or texts have changed since {settings.run} was trained; train it again")
    assert inputs.table is not None
    assert inputs.index is not None
    weighed = weigh_labels(inputs.images, inputs.table, inputs.index, train_settings.seed)
    assert weighed.by_text is not None
    labels = inputs.images.labels[weighed.described]
    overruled = np.flatnonzero((labels != UNLABELLED) & (weighed.posterior.argmax(1) != labels))
    overruled = overruled[np.argsort(-weighed.posterior[overruled].max(1), kind="stable")]
    positions = weighed.described[overruled]
    images, texts = inputs.images.subset(positions), _find_descriptions(train_settings, inputs, positions)
    by_model = _ask_model(settings, manifest, images)
    found = list(_list_errors(images, weighed.posterior[overruled], weighed.by_text[overruled], by_model, texts))
    result = LabelErrorsResult(
        found=tuple(found[: settings.top]),
        num_found=len(found),
        num_agree=sum(one.agree for one in found),
        num_weighed=int((labels != UNLABELLED).sum()),
        noise=float(weighed.facts["noise"]),
        csv=settings.csv,
        page=settings.page,
    )
    if settings.csv is not None:
        names = [field.name for field in fields(LabelError)]
        write_csv(settings.csv, [names, *((*astuple(one)[:-1], "\n".join(one.texts)) for one in found)])
    if settings.page is not None:
        from gpt4image.report.page import write_image_page

        shown = images.subset(np.arange(len(result.found)))
        write_image_page(settings.page, "label_errors.html.j2", shown, run=settings.run.name, result=result)
    return result


def _restore_settings(settings: LabelErrorsSettings, manifest: "RunManifest") -> "TrainSettings":
    """The run's settings, with paths that are found from here and the very table that it used."""
    from dataclasses import replace

    from gpt4image.report.pictures import locate
    from gpt4image.train.run_folder import settings_from_dict

    used = settings_from_dict(manifest.settings)
    work = settings.work or locate(str(used.work), settings.run)
    if work is None or not work.is_dir():
        raise RunError(f"the work folder {work or used.work} of {settings.run} is missing; say where it is with --work")
    images = locate(used.images, settings.run)
    table = Path(manifest.text["embeddings"]).name
    return replace(used, work=work, images=used.images if images is None else str(images), embeddings=table)


def _ask_model(settings: LabelErrorsSettings, manifest: "RunManifest", images: "ImageSet") -> "np.ndarray":
    """Probabilities [K, C] of the run's image model."""
    import numpy as np
    from scipy.special import softmax

    from gpt4image.models.predict import predict
    from gpt4image.runs import load_model

    if len(images) == 0:
        return np.zeros((0, len(images.classes)))
    model, how = load_model(settings.run, manifest), (settings.batch_size, settings.workers, settings.device)
    return softmax(predict(model, images, manifest.data_config, *how).logits.astype(float), axis=1)


def _list_errors(
    images: "ImageSet",
    posterior: "np.ndarray",
    by_text: "np.ndarray",
    by_model: "np.ndarray",
    texts: list[tuple[str, ...]],
) -> Iterator[LabelError]:
    """What label, text and image model say of K images; probabilities are [K, C]."""
    names = images.classes
    for i, label in enumerate(images.labels):
        suggested, text_says, model_says = (int(says[i].argmax()) for says in (posterior, by_text, by_model))
        yield LabelError(
            key=images.keys[i],
            label=names[label],
            suggested=names[suggested],
            probability=round(float(posterior[i].max()), 4),
            text_says=names[text_says],
            text_probability=round(float(by_text[i].max()), 4),
            model_says=names[model_says],
            model_probability=round(float(by_model[i].max()), 4),
            agree=bool(text_says == model_says != label),
            texts=texts[i],
        )


def _find_descriptions(
    train_settings: "TrainSettings", inputs: "Inputs", positions: "np.ndarray"
) -> list[tuple[str, ...]]:
    """The texts that were read of each image; none if only their embeddings are left."""
    import numpy as np

    from gpt4image.report.inside.training_texts import find_texts

    assert inputs.table is not None
    assert inputs.index is not None
    assert train_settings.work is not None
    if len(positions) == 0:
        return []
    own = [inputs.index.of(int(position)) for position in positions]
    rows = inputs.table.rows.take(np.concatenate(own)).to_pylist()
    try:
        # Texts that are no more than a class have no row in the store: the class name is their hash.
        is_stored = train_settings.text_source == "descriptions"
        texts = find_texts(rows, train_settings.work) if is_stored else [row["text_hash"] for row in rows]
    except DescriptionError:
        return [()] * len(positions)
    ends = np.cumsum([len(one) for one in own]).tolist()
    return [tuple(filter(None, texts[end - len(one) : end])) for one, end in zip(own, ends, strict=True)]
