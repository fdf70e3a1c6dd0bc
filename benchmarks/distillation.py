"""What does a head on frozen features gain by the LLM's own opinion beside clean labels, at which share of it?

    gpt4image describe IMAGES WORK --describer replay --file DESCRIPTIONS --field pick pick_sure
    python benchmarks/distillation.py IMAGES WORK VALIDATION --input-size 96

Trains on IMAGES with all of their labels, by share of what the picks alone say (calibrated), of the named class as it
is, of the same opinions exchanged within each class (control: what the class alone tells), and of label smoothing.
VALIDATION is of the same classes; what is also in IMAGES is left out, and `--most` of the rest are taken by chance.
Printed: accuracy, mean accuracy of the classes, log-loss.
"""

import argparse

import numpy as np
import torch
from labels import add_sources, load_world
from torch.nn.functional import cross_entropy

from gpt4image.evaluate.labelled import open_labelled, open_readable
from gpt4image.images import ImageSet
from gpt4image.label.weigh import weigh
from gpt4image.label.write import choose_picks
from gpt4image.models.frozen import find_frozen
from gpt4image.models.image_features import load_image_features
from gpt4image.train.frozen.head import ScaledFeatures, fit_head
from gpt4image.train.targets.source import one_hot


def load_features(images: ImageSet, digests: list[str], input_size: int) -> torch.Tensor:
    known = load_image_features(images, digests, find_frozen("tf_efficientnet_lite0", input_size))
    return torch.from_numpy(known.vectors[known.rows].astype(np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sources(parser)
    parser.add_argument("validation", help="labelled images to judge by, of the same classes")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.5, 0.7])
    parser.add_argument("--most", type=int, default=6000, help="validation images at most")
    arguments = parser.parse_args()
    world = load_world(arguments)
    training, held = open_readable(arguments.images), open_labelled(arguments.validation, world.classes)
    assert len(training.images) == len(world.y), "give images that all have a label (and with --picked, a pick)"
    scaled = ScaledFeatures(load_features(training.images, training.digests, arguments.input_size))
    new = np.flatnonzero(~np.isin(held.digests, training.digests))
    new = np.sort(np.random.default_rng(0).permutation(new)[: arguments.most])
    others = held.images.subset(new)
    judged = load_features(others, [held.digests[place] for place in new], arguments.input_size)
    truth = torch.from_numpy(others.labels)

    def measure(targets: np.ndarray) -> str:
        head = fit_head(scaled, torch.from_numpy(targets.astype(np.float32)))
        logits = head.compute_logits(judged)
        right = (logits.argmax(1) == truth).double()
        each = [100 * float(right[truth == number].mean()) for number in truth.unique()]
        return f"{100 * float(right.mean()):.1f} / {np.mean(each):.1f} / {float(cross_entropy(logits, truth)):.3f}"

    num_classes = len(world.classes)
    labels = one_hot(world.y, num_classes)
    evidence = world.evidence
    weighed = weigh(type(evidence)(num_classes, world.y, evidence.picks, evidence.texts, evidence.images))
    assert weighed.told is not None, "there are no picks"
    told = np.zeros(labels.shape, np.float32)
    np.put_along_axis(told, weighed.classes, weighed.told.astype(np.float32), 1)
    named = one_hot(choose_picks(evidence), num_classes)
    rng, exchanged = np.random.default_rng(0), told.copy()
    for number in range(num_classes):
        own = np.flatnonzero(world.y == number)
        exchanged[own] = told[rng.permutation(own)]
    uniform = np.full(labels.shape, 1 / num_classes)
    print(f"{len(training.images)} images, judged on {len(others)}: top-1 / mean of classes / log-loss")
    print(f"labels alone: {measure(labels)}", flush=True)
    for share in arguments.shares:
        cells = {"told": told, "named": named, "exchanged within classes": exchanged, "smoothing": uniform}
        mixed = {
            name: np.where(one.any(1)[:, None], (1 - share) * labels + share * one, labels)
            for name, one in cells.items()
        }
        print(f"{share}: " + ", ".join(f"{name} {measure(one)}" for name, one in mixed.items()), flush=True)


if __name__ == "__main__":
    main()
