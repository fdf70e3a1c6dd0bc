"""Describes images as well, or as badly, as a head that learnt from others of the same set: other data to weigh.

    python benchmarks/stand_in_describer.py cifar10/train cifar10/list.jsonl --size 64
    gpt4image describe cifar10/list.jsonl WORK --describer replay --file cifar10/list.jsonl --field blind pick pick_sure
    gpt4image embed WORK
    python benchmarks/labels.py cifar10/list.jsonl WORK --prompts blind

The folder has a folder of images for each class; the list must lie beside or above them. `--described` images a class
are described, by a head on EfficientNet-Lite0 features that was fitted to `--taught` others, seen at `--size` pixels.
It errs where an image is hard, as people and LLMs do, and its caption says what it picks: names of the class,
sometimes both that it wavers between, sometimes none.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from gpt4image.evaluate.labelled import open_readable
from gpt4image.models.frozen import find_frozen
from gpt4image.models.image_features import load_image_features
from gpt4image.train.frozen.head import fit_head

ADJECTIVES = ("small", "large", "bright", "dark", "blurred", "white", "brown", "red", "grey")
SCENES = ("outdoors", "on a plain background", "seen from the side", "close up", "in dim light", "half out of view")
UNNAMED = 0.12
"""Share of captions that name no class."""
WAVERS = 0.55
"""Probability of the first choice below which most captions name the second one, too."""


def write_caption(probabilities: np.ndarray, classes: list[str], rng: np.random.Generator) -> str:
    first, second = (classes[place].replace("_", " ") for place in np.argsort(-probabilities)[:2])
    adjective, colour, scene = rng.choice(ADJECTIVES), rng.choice(ADJECTIVES), rng.choice(SCENES)
    if rng.random() < UNNAMED:
        return f"Something {adjective}, {scene}, in {colour} tones."
    if probabilities.max() < WAVERS and rng.random() < 0.6:
        return f"A {adjective} shape {scene}, perhaps a {first} or a {second}."
    return f"A {adjective} {first} {scene}, in {colour} tones."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("list", type=Path)
    parser.add_argument("--described", type=int, default=100, help="images a class that are described")
    parser.add_argument("--taught", type=int, default=900, help="other images a class that teach the describer")
    parser.add_argument("--size", type=int, default=64, help="pixels that the describer sees")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    readable, rng = open_readable(str(arguments.folder)), np.random.default_rng(arguments.seed)
    labels, classes = readable.images.labels, list(readable.images.classes)
    described, taught = [], []
    for label in range(len(classes)):
        order = rng.permutation(np.flatnonzero(labels == label))
        described += order[: arguments.described].tolist()
        taught += order[arguments.described :][: arguments.taught].tolist()
    looked_at = described + taught
    digests = [readable.digests[place] for place in looked_at]
    backbone = find_frozen("tf_efficientnet_lite0", arguments.size)
    known = load_image_features(readable.images.subset(np.array(looked_at)), digests, backbone)
    features = torch.from_numpy(known.vectors[known.rows].astype(np.float32))
    targets = torch.nn.functional.one_hot(torch.from_numpy(labels[taught]), len(classes)).float()
    own = features[: len(described)]
    told = fit_head(features[len(described) :], targets).compute_logits(own).softmax(1).numpy()
    folder = arguments.folder.resolve().relative_to(arguments.list.resolve().parent)
    with arguments.list.open("w", encoding="utf-8") as file:
        for place, probabilities in zip(described, told, strict=True):
            line = {
                "path": str(folder / readable.images.keys[place]),
                "label": classes[labels[place]],
                "blind": write_caption(probabilities, classes, rng),
                "pick": classes[probabilities.argmax()],
                "pick_sure": round(100 * float(probabilities.max())),
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"picks right for {100 * (told.argmax(1) == labels[described]).mean():.1f} % of {len(described):,} images")


if __name__ == "__main__":
    main()
