"""Makes a whole comparison folder with untrained models: real images, store, embeddings, runs and evaluations."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

CLASSES = ["disc", "frame", "stripes"]
SIZE = 32
EXPLANATIONS = {"baseline": "labels alone", "shuffled": "texts of other images"}
ARMS = {"baseline": "baseline", "aligned": "method", "shuffled": "control"}


def make_comparison(folder: Path, num_seeds: int = 2) -> Path:
    """Makes `folder/compare` and what it refers to; returns it."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    draw_images(folder / "train", 8, rng)
    draw_images(folder / "test", 10, rng)
    table = describe(folder / "train", folder / "work", rng)
    compare = folder / "compare"
    arms = {
        arm: {
            "role": role,
            "explanation": EXPLANATIONS.get(arm, ""),
            "runs": [_make_run(compare, folder, arm, seed, table) for seed in range(num_seeds)],
        }
        for arm, role in ARMS.items()
    }
    _write_comparison(compare, folder, arms)
    return compare


def draw_images(root: Path, per_class: int, rng: np.random.Generator) -> None:
    y, x = np.mgrid[:40, :40]
    shapes = {
        "disc": (x - 20) ** 2 + (y - 20) ** 2 < 140,
        "frame": np.maximum(abs(x - 20), abs(y - 20)) // 3 == 4,
        "stripes": x // 5 % 2 == 0,
    }
    for name, mask in shapes.items():
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            ground, ink = rng.integers(0, 255, (2, 3))
            pixels = np.where(mask[..., None], ink, ground) + rng.integers(-20, 20, (40, 40, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name / f"{number}.png")


def describe(images_folder: Path, work: Path, rng: np.random.Generator) -> Path:
    """A store with one text an image, and a table of vectors that tell the classes apart."""
    import pyarrow as pa

    from gpt4image.describe.store.rows import DescribedImage, Description
    from gpt4image.describe.store.states import State
    from gpt4image.describe.store.store import DescriptionStore
    from gpt4image.embed.table import save_table
    from gpt4image.images import open_images, scan_images

    images = open_images(str(images_folder))
    digests = scan_images(images).digests
    texts = [f"A {images.class_name(i)} with <b>sharp</b> edges, number {i}." for i in range(len(images))]
    with DescriptionStore.open(work, create=True) as store:
        store.write_images(
            DescribedImage(d, k, images.class_name(i))
            for i, (d, k) in enumerate(zip(digests, images.keys, strict=True))
        )
        store.write(
            Description(digest, "detailed@1", "tiny-vlm", text=text, tokens_in=500, tokens_out=50, seconds=1.5)
            for digest, text in zip(digests, texts, strict=True)
        )
        store.write([Description("gone", "detailed@1", "tiny-vlm", state=State.REFUSED, tokens_in=500, seconds=1.5)])
        store.write([Description("gone", "tags@1", "tiny-vlm", text="not embedded")])
        store.prompt_identity("detailed@1", "Describe this image in detail.")
    order = np.argsort(digests)
    rows = pa.table(
        {
            "digest": [digests[i] for i in order],
            "prompt": ["detailed@1"] * len(order),
            "describer": ["tiny-vlm"] * len(order),
            "sample": pa.array([0] * len(order), pa.int32()),
            "key": [images.keys[i] for i in order],
            "text_hash": [f"{i:016x}" for i in order],
        }
    )
    vectors = np.eye(8)[images.labels[order]] + 0.2 * rng.normal(size=(len(order), 8))
    table = work / "embeddings" / "tiny"
    save_table(table, vectors, rows, {"encoder": "tiny", "prompts": ["detailed@1"], "describers": ["tiny-vlm"]})
    return table


def _make_run(compare: Path, folder: Path, arm: str, seed: int, table: Path) -> dict:
    from safetensors.torch import save_file

    from gpt4image.evaluate import EvaluateSettings, evaluate
    from gpt4image.models.create import create_model
    from gpt4image.runs import RunManifest
    from gpt4image.train.objectives.projector import create_projector

    run = compare / "runs" / f"{arm}-seed{seed}"
    run.mkdir(parents=True)
    torch.manual_seed(10 * list(ARMS).index(arm) + seed)
    save_file(create_model("test_resnet", len(CLASSES), SIZE).state_dict(), run / "model.safetensors")
    text = (
        {}
        if arm == "baseline"
        else {
            "embeddings": str(table),
            "table": {"encoder": "tiny", "prompts": ["detailed@1"], "describers": ["tiny-vlm"]},
            "objective": "clip",
        }
    )
    if text:
        save_file(create_projector("mlp", 96, 8).state_dict(), run / "projector.safetensors")
    config = {
        "input_size": [3, SIZE, SIZE],
        "interpolation": "bilinear",
        "mean": [0.5] * 3,
        "std": [0.3] * 3,
        "crop_pct": 1.0,
    }
    settings = {"seed": seed, "model": "test_resnet"}
    RunManifest(
        "test_resnet",
        {},
        CLASSES,
        config,
        96,
        str(folder / "train"),
        24,
        24 if text else 0,
        "ab" * 32,
        text=text,
        settings=settings,
        seconds=12.0,
    ).save(run)
    lines = (
        {"epoch": e, "lr": 0.1, "loss": 2 / e, "loss_label": 1.5 / e, "top1_train": 30.0 + 5 * e} for e in range(1, 6)
    )
    extra = {"loss_text": 2.5} if text else {}
    (run / "metrics.jsonl").write_text("".join(json.dumps(line | extra) + "\n" for line in lines))
    result = evaluate(EvaluateSettings(run, str(folder / "test"), workers=0, features=seed == 0))
    measured = {"top1": result.top1, "top5": result.top5, "ece": result.ece, "seconds": 12.0}
    given = {"given labels": {"accuracy": 0.875, "interval": [0.8, 0.93], "images": 100, "classes": {}}} if text else {}
    return {"seed": seed, "path": str(run.relative_to(compare)), **measured, "labels": given}


def _write_comparison(compare: Path, folder: Path, arms: dict) -> None:
    for record in arms.values():
        accuracies = [run["top1"] for run in record["runs"]]
        record |= {"top1_mean": float(np.mean(accuracies)), "top1_std": float(np.std(accuracies, ddof=1))}
    differences = {
        "aligned": {"mean": 2.0, "low": 0.5, "high": 3.5, "level": 0.95},
        "shuffled": {"mean": -0.25, "low": -1.5, "high": 1.0, "level": 0.95},
    }
    situation = {
        "settings": {"wrong_labels": 0.0},
        "arms": arms,
        "differences": differences,
        "verdict": "Texts help by 2 points.",
    }
    record = {
        "title": "Shapes & <signs>",
        "created": "2026-01-02T03:04:05",
        "images": str(folder / "train"),
        "test_images": str(folder / "test"),
        "classes": CLASSES,
        "recipe": {"model": "test_resnet", "lr": 0.002, "prompts": ["detailed@1"]},
        "baseline": "baseline",
        "seconds": 3700.0,
        "situations": [{"name": "clean labels", **situation}, {"name": "wrong labels", **situation}],
        "verdict": "Descriptions help: +2.0 points.",
    }
    (compare / "comparison.json").write_text(json.dumps(record))


if __name__ == "__main__":
    import sys

    shutil.rmtree(sys.argv[1], ignore_errors=True)
    print(make_comparison(Path(sys.argv[1])))
