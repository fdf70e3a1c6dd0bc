"""Do texts help where all labels are clean? Many small trainings in one process, on products-45 (see products45.py).

    python benchmarks/clean_labels.py run products45 results.jsonl --net cnn --epochs 64 --arms plain aligned --seeds 2
    python benchmarks/clean_labels.py show results.jsonl

PRODUCTS holds train/CLASS, test/CLASS and products.jsonl. Every run trains on the same PER_CLASS photos a class of
those marked `small`; validation photos and those that probes are fitted on are other training photos. `--final` tests
on the test photos instead, with other seeds. Losses, projector, optimizer and text encoder are the package's own.
Probes ask the frozen features what the class does not say: k-NN and validated logistic regression (`transfer`) on
colour, gender, usage, sleeve and neck. Each run appends a JSON line; `show` pairs each arm with the plain net of the
same seed.
"""

import argparse
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from gpt4image.compare.arms import OFFICIAL, TEXTTEACHER
from gpt4image.embed.encoders.load import load_encoder
from gpt4image.embed.join import TextIndex
from gpt4image.embed.text_embeddings import TextEmbeddings
from gpt4image.evaluate.metrics import compute_metrics
from gpt4image.evaluate.paired import compute_paired_difference
from gpt4image.evaluate.transfer import choose_strength, predict_knn, predict_linear
from gpt4image.models.embedded import EMBEDDED, find_embedded_weights
from gpt4image.models.tap import count_features
from gpt4image.train.objectives.network import AlignedNetwork
from gpt4image.train.objectives.objective import Objective
from gpt4image.train.objectives.pairs import Shown
from gpt4image.train.objectives.projector import create_projector
from gpt4image.train.optimizer import Schedule, create_optimizer
from gpt4image.train.settings import TrainSettings
from gpt4image.train.targets.source import Targets
from gpt4image.train.targets.tokens import TokenTargets

ATTRIBUTES = {"colour": "colour", "gender": "gender", "usage": "usage", "sleeve": "sleeve length", "neck": "neck"}
RARE = 25
"""Values that fewer probe photos have are left out."""
VALIDATION, PROBE = 60, 80
"""Photos a class at most."""
FIRST_SEED = {False: 100, True: 0}


@dataclass(frozen=True)
class Arm:
    """How texts take part: settings of `train`, and what `train` has no setting for.

    Attributes:
        settings: of `train`.
        text: description, attributes or both (the mean of their embeddings).
        residual: what the class does not explain: the embedding minus the mean of its class.
        course: constant; early: down to zero at a third; first: texts alone for a third, then labels alone.
        aspects: shop attributes are further outputs, and texts take no part.
        shuffled: each photo has another one's text.
        project: the part of a row's text gradient that opposes its label gradient is taken out.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    text: str = "description"
    residual: bool = False
    course: str = "constant"
    aspects: bool = False
    shuffled: bool = False
    project: bool = False


ALIGNED = Arm({"objective": "clip"})
ARMS = {
    "plain": Arm({"objective": "none"}),
    "aligned": ALIGNED,
    "official": Arm(OFFICIAL),
    "textteacher": Arm(TEXTTEACHER),
    "shuffled": replace(ALIGNED, shuffled=True),
    "early": replace(ALIGNED, course="early"),
    "textteacher_early": Arm(TEXTTEACHER, course="early"),
    "first": replace(ALIGNED, course="first"),
    "residual": replace(ALIGNED, residual=True),
    "residual_1": Arm({"objective": "clip", "text_weight": 1.0}, residual=True),
    "mean": Arm({"objective": "clip", "centring": "mean"}),
    "whiten": Arm({"objective": "clip", "centring": "whiten"}),
    "excluded": Arm({"objective": "clip", "related": "excluded"}),
    "mlp": Arm({"objective": "clip", "projector": "mlp"}),
    "weight_1": Arm({"objective": "clip", "text_weight": 1.0}),
    "cold": Arm({"objective": "clip", "temperature": 0.07}),
    "byol": Arm({"objective": "byol"}),
    "tokens": Arm({"objective": "tokens"}),
    "project": replace(ALIGNED, project=True),
    "aspects": Arm({"objective": "clip"}, aspects=True),
    "sentence": replace(ALIGNED, text="attributes"),
    "sentence_1": Arm({"objective": "clip", "text_weight": 1.0}, text="attributes"),
    "sentence_residual": replace(ALIGNED, text="attributes", residual=True),
    "sentence_residual_1": Arm({"objective": "clip", "text_weight": 1.0}, text="attributes", residual=True),
    "sentence_tokens": Arm({"objective": "tokens"}, text="attributes"),
    "sentence_textteacher": Arm(TEXTTEACHER, text="attributes"),
    "sentence_official": Arm(OFFICIAL, text="attributes"),
    "sentence_early": replace(ALIGNED, text="attributes", course="early"),
    "sentence_shuffled": replace(ALIGNED, text="attributes", shuffled=True),
    "sentence_1_shuffled": Arm({"objective": "clip", "text_weight": 1.0}, text="attributes", shuffled=True),
    "both": replace(ALIGNED, text="both"),
}
VIT = {"patch_size": 8, "embed_dim": 64, "depth": 3, "num_heads": 2, "class_token": False, "global_pool": "avg"}
NETS: dict[str, dict[str, Any]] = {
    "cnn": {"lr": 2e-3, "optimizer": "adamw", "batch_size": 64},
    "wide": {"lr": 2e-3, "optimizer": "adamw", "batch_size": 64},
    "vit": {"lr": 7e-3, "optimizer": "muon", "batch_size": 64},
    "frozen": {"lr": 1e-3, "optimizer": "adamw", "batch_size": 64},
}


@dataclass
class Photos:
    """Pixels uint8 [N, 3, S, S] or features float [N, F]; classes; attribute values [N, 5] with -1 for none; texts."""

    pixels: Tensor
    labels: np.ndarray
    aspects: np.ndarray
    texts: dict[str, list[str]]


def read_photos(arguments: argparse.Namespace) -> tuple[dict[str, Photos], list[str]]:
    """Training photos, photos to fit probes on, photos to test on; and the class names."""
    lines = (arguments.products / "products.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    classes, rng = sorted({row["label"] for row in rows}), np.random.default_rng(0)
    training = [row for row in rows if row["path"].startswith("train/")]
    training = [training[place] for place in rng.permutation(len(training))]
    parts: dict[str, list[dict]] = {"training": [], "probe": [], "test": []}
    for name in classes:
        own = [row for row in training if row["label"] == name]
        others = [row for row in own if not row.get("small")]
        parts["training"] += [row for row in own if row.get("small")][: arguments.per_class]
        held_out = min(VALIDATION, len(others) // 2)
        parts["test"] += others[:held_out]
        parts["probe"] += others[held_out:][:PROBE]
    if arguments.final:
        parts["test"] = [row for row in rows if row["path"].startswith("test/")]
    values = {name: find_values(parts["probe"], name) for name in ATTRIBUTES}
    photos = {}
    for part, chosen in parts.items():
        aspects = [[values[name].get(find_value(row, name), -1) for name in ATTRIBUTES] for row in chosen]
        labels = np.array([classes.index(row["label"]) for row in chosen])
        texts = {kind: [row.get(kind) or "" for row in chosen] for kind in ("description", "attributes")}
        photos[part] = Photos(read_pixels(chosen, arguments), labels, np.array(aspects), texts)
    return photos, classes


def find_value(row: dict, name: str) -> str | None:
    return row.get(name) or row["shop_attributes"].get(ATTRIBUTES[name])


def find_values(rows: list[dict], name: str) -> dict[str | None, int]:
    found = [value for row in rows if (value := find_value(row, name))]
    frequent = [value for value in sorted(set(found)) if found.count(value) >= RARE]
    return {value: number for number, value in enumerate(frequent)}


def read_pixels(rows: list[dict], arguments: argparse.Namespace) -> Tensor:
    size = arguments.size
    pixels = torch.empty(len(rows), 3, size, size, dtype=torch.uint8)
    for number, row in enumerate(rows):
        image = (
            Image.open(arguments.products / row["path"]).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        )
        pixels[number] = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    if arguments.net != "frozen":
        return pixels.to(arguments.device)
    overlay = {"file": str(find_embedded_weights())}
    model = timm.create_model(EMBEDDED, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0)
    model = model.eval().to(arguments.device)
    with torch.no_grad():
        return torch.cat([model(normalize(part.to(arguments.device))) for part in pixels.split(128)])


def normalize(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1 if pixels.dtype == torch.uint8 else pixels


def augment(pixels: Tensor) -> Tensor:
    """A random crop of 0.7 of the area or more, flipped in half of the cases; features are left as they are."""
    pixels = normalize(pixels)
    if pixels.ndim == 2:
        return pixels
    count, device = len(pixels), pixels.device
    scale = torch.empty(count, 2, device=device).uniform_(0.7**0.5, 1)
    shift = (1 - scale) * torch.empty(count, 2, device=device).uniform_(-1, 1)
    flip = torch.randint(0, 2, (count,), device=device) * 2 - 1
    zero = torch.zeros(count, device=device)
    rows = [torch.stack([scale[:, 0] * flip, zero, shift[:, 0]], 1), torch.stack([zero, scale[:, 1], shift[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def create_net(net: str, num_classes: int, width: int) -> nn.Module:
    if net == "vit":
        return timm.create_model("vit_tiny_patch16_224", num_classes=num_classes, img_size=width, **VIT)
    if net == "frozen":
        layers = [nn.Dropout(0.2), nn.Linear(width, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, num_classes)]
        return nn.Sequential(*layers)
    channels, stem = ([64, 128, 256, 512], 32) if net == "wide" else ([32, 64, 128, 256], 16)
    return timm.create_model("resnet10t", num_classes=num_classes, channels=channels, stem_width=stem)


def embed_texts(photos: Photos, arm: Arm, settings: TrainSettings, embedded: dict[str, np.ndarray]) -> Tensor:
    """Text targets [N, D]; zero rows for photos without a text."""
    kinds = ("description", "attributes") if arm.text == "both" else (arm.text,)
    if settings.objective == "tokens":
        texts = [[photos.texts[kind][number] for kind in kinds] for number in range(len(photos.labels))]
        tokens = TokenTargets([[text for text in own if text] for own in texts])
        return torch.from_numpy(tokens.gather(np.arange(len(texts))))
    has = {kind: np.array([bool(text) for text in photos.texts[kind]]) for kind in kinds}
    weights = sum(has[kind].astype(float) for kind in kinds)
    vectors = sum(embedded[kind] * has[kind][:, None] for kind in kinds) / np.maximum(weights, 1)[:, None]
    described = np.flatnonzero(weights)
    index = TextIndex(described, np.cumsum(weights > 0) - (weights > 0), (weights > 0).astype(np.int64))
    table: Any = SimpleNamespace(vectors=vectors.astype(np.float32))
    text = TextEmbeddings(table, index, settings.centring_or_published).gather(np.arange(len(vectors)))
    if arm.residual:
        for label in np.unique(photos.labels):
            own = described[photos.labels[described] == label]
            text[own] -= text[own].mean(0)
    return torch.from_numpy(text)


def find_weight(arm: Arm, weight: float, progress: float) -> tuple[float, float]:
    """Weights of the label loss and of the text loss at this share of the training."""
    if arm.course == "early":
        return 1.0, weight * max(0.0, 1 - 3 * progress)
    if arm.course == "first":
        return (0.0, 1.0) if progress < 1 / 3 else (1.0, 0.0)
    return 1.0, weight


def aspect_loss(outputs: Tensor, aspects: Tensor, widths: list[int]) -> Tensor:
    """Sum over the attributes of the cross-entropy of the photos that have one; five attributes weigh as one text."""
    parts = zip(outputs.split(widths, 1), aspects.T, strict=True)
    losses = [F.cross_entropy(own, value, ignore_index=-1, reduction="sum") for own, value in parts]
    return torch.stack(losses).sum() / (aspects >= 0).sum().clamp_min(1)


def train(
    arm: Arm,
    seed: int,
    photos: Photos,
    num_classes: int,
    embedded: dict[str, np.ndarray],
    arguments: argparse.Namespace,
) -> AlignedNetwork:
    device, recipe = torch.device(arguments.device), NETS[arguments.net]
    settings = TrainSettings("", Path(), epochs=arguments.epochs, seed=seed, **{**recipe, **arm.settings})
    torch.manual_seed(seed)
    width = photos.pixels.shape[-1]
    backbone = create_net(arguments.net, num_classes, width)
    widths = [int(photos.aspects[:, place].max()) + 1 for place in range(len(ATTRIBUTES))]
    text, projector = torch.zeros(len(photos.labels), 0), None
    if settings.objective != "none":
        text = embed_texts(photos, arm, settings, embedded)
        if arm.shuffled:
            text = text[torch.randperm(len(text), generator=torch.Generator().manual_seed(seed))]
        num_features = 256 if arguments.net == "frozen" else count_features(backbone, width)
        dimension = sum(widths) if arm.aspects else text.shape[1]
        projector = create_projector(settings.projector, num_features, dimension, std=settings.projector_std)
    network = AlignedNetwork(backbone, projector).to(device).train()
    objective = Objective(
        settings.objective,
        settings.text_weight,
        settings.temperature,
        settings.related,
        adaptive=settings.objective == "textteacher",
        official=arm.settings is OFFICIAL,
    )
    labels, text = torch.from_numpy(photos.labels).to(device), text.to(device)
    classes, aspects = F.one_hot(labels, num_classes).float(), torch.from_numpy(photos.aspects).to(device)
    has_text = text.any(1)
    steps = len(labels) // settings.batch_size
    optimizer, total = create_optimizer(settings, network), settings.epochs * steps
    schedule = Schedule(settings, optimizer, steps)
    torch.manual_seed(seed + 1)
    for step in range(total):
        if step % steps == 0:
            order = torch.randperm(len(labels), device=device)
        own = order[step % steps * settings.batch_size :][: settings.batch_size]
        schedule.set_lr(step)
        logits, projected = network(augment(photos.pixels[own]))
        features = network.take_features()
        targets = Targets(classes[own], text[own], has_text[own], Shown.whole(own, classes[own]))
        of_labels, of_texts = find_weight(arm, settings.text_weight, step / total)
        if arm.aspects:
            assert projected is not None
            loss = F.cross_entropy(logits, labels[own]) + aspect_loss(projected, aspects[own], widths)
        elif of_labels == 1 and not arm.project:
            active = projected if of_texts else None
            loss = replace(objective, weight=of_texts)(logits, features, active, targets).total
        else:
            found = objective(logits, features, projected, targets)
            loss = of_labels * found.label + of_texts * found.text
            if arm.project:
                loss = loss + of_texts * (oppose(found.label, found.text, features) * features).sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip_grad or 5.0)
        optimizer.step()
    return network.eval()


def oppose(label: Tensor, text: Tensor, features: Tensor) -> Tensor:
    """[B, F], to be added to the text gradient on the features: minus its part against the label gradient, by rows."""
    (g_label,) = torch.autograd.grad(label, features, retain_graph=True)
    (g_text,) = torch.autograd.grad(text, features, retain_graph=True)
    along = (g_text * g_label).sum(1, keepdim=True).clamp_max(0) / g_label.square().sum(1, keepdim=True).clamp_min(
        1e-20
    )
    return -along * g_label


@torch.no_grad()
def predict(network: AlignedNetwork, pixels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Logits and features."""
    logits, features = [], []
    for part in pixels.split(512):
        logits.append(network(normalize(part))[0].float().cpu())
        features.append(network.take_features().float().cpu())
    return torch.cat(logits).numpy(), torch.cat(features).numpy()


def measure(network: AlignedNetwork, photos: dict[str, Photos], classes: list[str], probes: bool) -> dict[str, Any]:
    logits, features = predict(network, photos["test"].pixels)
    labels = photos["test"].labels
    metrics = compute_metrics(logits, labels, classes)
    log_p = F.log_softmax(torch.from_numpy(logits), 1).numpy()
    right, fitted = logits.argmax(1) == labels, predict(network, photos["training"].pixels)[0].argmax(1)
    result: dict[str, Any] = {
        "top1": metrics.top1,
        "macro": metrics.macro,
        "training": 100 * float((fitted == photos["training"].labels).mean()),
        "nll": float(-log_p[np.arange(len(labels)), labels].mean()),
        "ece": metrics.ece,
        "n": len(labels),
        "right": np.packbits(right).tobytes().hex(),
    }
    if not probes:
        return result
    known = predict(network, photos["probe"].pixels)[1]
    result |= {"linear": {}, "knn": {}}
    for place, name in enumerate(ATTRIBUTES):
        value, asked = photos["probe"].aspects[:, place], photos["test"].aspects[:, place]
        has, tested = value >= 0, asked >= 0
        strength, _ = choose_strength(known[has], value[has])
        found = predict_linear(known[has], value[has], features[tested], strength)
        near = predict_knn(known[has], value[has], features[tested])
        result["linear"][name] = 100 * float((found == asked[tested]).mean())
        result["knn"][name] = 100 * float((near == asked[tested]).mean())
    return result


def run(arguments: argparse.Namespace) -> None:
    photos, classes = read_photos(arguments)
    sizes = {part: len(own.labels) for part, own in photos.items()}
    print(
        sizes, {name: int((photos["test"].aspects[:, at] >= 0).sum()) for at, name in enumerate(ATTRIBUTES)}, flush=True
    )
    encoder = load_encoder("minilm", arguments.device)
    embedded = {kind: encoder.encode(texts) for kind, texts in photos["training"].texts.items()}
    print("texts embedded", flush=True)
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for name in arguments.arms:
            start = time.perf_counter()
            final_seed = seed + FIRST_SEED[arguments.final]
            network = train(ARMS[name], final_seed, photos["training"], len(classes), embedded, arguments)
            seconds = time.perf_counter() - start
            found = measure(network, photos, classes, not arguments.no_probes)
            cell = {"net": arguments.net, "per_class": arguments.per_class, "size": arguments.size}
            cell |= {"epochs": arguments.epochs, "final": arguments.final, "device": arguments.device}
            line = {**cell, "arm": name, "seed": final_seed, **found, "seconds": seconds}
            with arguments.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            linear = f" probes {np.mean(list(found['linear'].values())):.2f}" if "linear" in found else ""
            took = time.perf_counter() - start
            print(
                f"{name:20} seed {final_seed} top-1 {found['top1']:.2f} training {found['training']:.1f}{linear}"
                f"  {seconds:.0f} s of {took:.0f}",
                flush=True,
            )


def show(path: Path) -> None:
    """A table a cell: each arm's means, and its difference to the plain net of the same seeds."""
    cells: dict[tuple, dict[str, dict[int, dict]]] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        key = tuple(line[name] for name in ("net", "per_class", "size", "epochs", "final"))
        cells.setdefault(key, {}).setdefault(line["arm"], {})[line["seed"]] = line
    for (net, per_class, size, epochs, final), arms in cells.items():
        print(f"\n{net}, {per_class} a class, {size} px, {epochs} epochs, {'test' if final else 'validation'} photos\n")
        print("| arm | seeds | top-1 | gain (95 % interval) | training | NLL | ECE | probes | gain | k-NN gain |")
        print("|" + "---|" * 10)
        for name, runs in arms.items():
            seeds = [seed for seed in runs if seed in arms.get("plain", {})]
            own, plain = [runs[seed] for seed in seeds], [arms["plain"][seed] for seed in seeds]
            if not own:
                continue
            means = {key: np.mean([line[key] for line in own]) for key in ("top1", "training", "nll", "ece")}
            top1 = compute_paired_difference(unpack(own), unpack(plain))
            gain = "" if name == "plain" else f"{top1.mean:+.1f} ({top1.low:+.1f} to {top1.high:+.1f})"
            columns = [name, str(len(seeds)), f"{means['top1']:.1f}", gain, f"{means['training']:.1f}"]
            columns += [f"{means['nll']:.2f}", f"{means['ece']:.1f}"]
            if "linear" in own[0] and "linear" in plain[0]:
                columns.append(f"{np.mean([average(line, 'linear') for line in own]):.1f}")
                for kind in ("linear", "knn"):
                    gains = [average(a, kind) - average(b, kind) for a, b in zip(own, plain, strict=True)]
                    columns.append("" if name == "plain" else interval(gains))
            print(f"| {' | '.join(columns)} |")


def unpack(lines: list[dict]) -> np.ndarray:
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(line["right"]), np.uint8))[: line["n"]] for line in lines]
    return np.stack(bits).astype(bool)


def average(line: dict, kind: str) -> float:
    return float(np.mean(list(line[kind].values())))


def interval(differences: list[float]) -> str:
    """Mean over seeds and its interval by Student's t; with one seed the mean alone."""
    from scipy import stats

    mean, count = np.mean(differences), len(differences)
    if count == 1:
        return f"{mean:+.1f}"
    half = stats.t.ppf(0.975, count - 1) * np.std(differences, ddof=1) / count**0.5
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run")
    runs.add_argument("products", type=Path)
    runs.add_argument("results", type=Path)
    runs.add_argument("--net", choices=NETS, default="cnn")
    runs.add_argument("--per-class", type=int, default=30)
    runs.add_argument("--size", type=int, default=32)
    runs.add_argument("--epochs", type=int, default=60)
    runs.add_argument("--arms", nargs="+", choices=ARMS, default=["plain", "aligned", "official", "textteacher"])
    runs.add_argument("--seeds", type=int, default=2)
    runs.add_argument("--first-seed", type=int, default=0)
    runs.add_argument("--no-probes", action="store_true")
    runs.add_argument("--final", action="store_true")
    runs.add_argument("--device", default="cpu")
    commands.add_parser("show").add_argument("results", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "show":
        show(arguments.results)
    else:
        run(arguments)


if __name__ == "__main__":
    main()
