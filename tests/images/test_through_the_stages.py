"""Data sets and shards go through describe, embed, train and evaluate as folders do."""

import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from gpt4image.describe import DescribeSettings, describe
from gpt4image.embed import EmbedSettings, embed
from gpt4image.evaluate import EvaluateSettings, evaluate
from gpt4image.train import TrainSettings, train

Photos = dict[str, list[bytes]]


def make_data_set(folder: Path, photos_of: Photos, write_shard: Callable[..., None]) -> str:
    rows = [(data, label) for label, data_of in enumerate(photos_of.values()) for data in data_of]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(photos_of))})
    columns = {"image": [{"bytes": data, "path": None} for data, _ in rows], "label": [label for _, label in rows]}
    datasets.Dataset.from_dict(columns, features=features).to_parquet(folder / "birds.parquet")
    return f"hf:{folder / 'birds.parquet'}"


def make_shards(folder: Path, photos_of: Photos, write_shard: Callable[..., None]) -> str:
    for name, photos in photos_of.items():
        files = {
            f"{number}.{suffix}": value
            for number, data in enumerate(photos)
            for suffix, value in (("png", data), ("json", json.dumps({"label": name})))
        }
        write_shard(folder / f"{name}.tar", files)
    return f"webdataset:{folder}/*.tar"


@pytest.mark.parametrize("make", [make_data_set, make_shards])
def test_from_descriptions_to_a_tested_model(
    make: Callable[..., str],
    photos_of: Photos,
    write_shard: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gpt4image.images import open_images

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    source = make(tmp_path, photos_of, write_shard)
    images, work = open_images(source), tmp_path / "work"
    texts = [{"key": key, "description": f"a small {images.class_name(i)}"} for i, key in enumerate(images.keys)]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, texts)))
    assert describe(DescribeSettings(source, work, describer="replay", file=tmp_path / "texts.jsonl")).new == 24
    assert embed(EmbedSettings(work, device="cpu")).num_rows == 24
    settings = TrainSettings(
        source,
        tmp_path / "run",
        work,
        model="test_resnet",
        input_size=32,
        epochs=2,
        batch_size=8,
        workers=1,
        device="cpu",
    )
    result = train(settings)
    assert (result.num_images, result.num_labelled, result.num_described) == (24, 24, 24)
    assert evaluate(EvaluateSettings(tmp_path / "run", source, workers=0, device="cpu")).n == 24
