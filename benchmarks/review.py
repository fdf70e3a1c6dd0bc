"""What are 50 answers worth in the order of the page *Labels*, and what are 50 about images drawn at random?

    gpt4image describe fashion-mnist:1k work --describer replay --field blind
    gpt4image embed work
    python benchmarks/review.py fashion-mnist:1k work --input-size 96

The images' own labels are taken for the truth; 40 % of them are made wrong, and picks are left out. A person who knows
the truth is asked about 50 images, and everything is weighed again.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from gpt4image.images import UNLABELLED, open_images
from gpt4image.label import LabelSettings
from gpt4image.label.collect import collect
from gpt4image.label.review import order_for_review
from gpt4image.label.weigh import Evidence, Weighed, weigh

ANSWERS = 50
Order = Callable[[Weighed, np.random.Generator], np.ndarray]


def by_page(weighed: Weighed, rng: np.random.Generator) -> np.ndarray:
    """The page's order, from what stands in labels.parquet."""
    confidence = weighed.values[:, 0].astype(np.float32) * (1 - weighed.none)
    return order_for_review(confidence, weighed.proposed)


def at_random(weighed: Weighed, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(len(weighed.proposed))


ORDERS: dict[str, Order] = {"page": by_page, "random": at_random}


def share_right(weighed: Weighed, truth: np.ndarray) -> float:
    return 100 * float((weighed.proposed == truth).mean())


def answer(evidence: Evidence, images: np.ndarray, truth: np.ndarray, seed: int) -> Weighed:
    """All weighed again after a person has said the truth about these images."""
    gold = np.full(len(truth), UNLABELLED)
    gold[images] = truth[images]
    return weigh(replace(evidence, gold=gold), seed)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("images")
    parser.add_argument("work", type=Path)
    parser.add_argument("--wrong-labels", type=float, default=0.4)
    parser.add_argument("--wrong-kind", default="uniform")
    parser.add_argument("--input-size", type=int)
    parser.add_argument("--draws", type=int, default=5)
    arguments = parser.parse_args()
    source = open_images(arguments.images)
    known = dict(zip(source.keys, source.labels.tolist(), strict=True))
    print(f"{'draw':>4} {'before':>8}" + "".join(f"{name:>9} {'found':>6}" for name in ORDERS))
    gains: dict[str, list[float]] = {name: [] for name in ORDERS}
    for seed in range(arguments.draws):
        spoilt = {"wrong_labels": arguments.wrong_labels, "wrong_kind": arguments.wrong_kind, "seed": seed}
        settings = LabelSettings(
            arguments.images, arguments.work, picks=("none",), input_size=arguments.input_size, **spoilt
        )
        collected = collect(settings)
        evidence, truth = (
            replace(collected.evidence, gold=None),
            np.array([known[key] for key in collected.images.keys]),
        )
        before = weigh(evidence, seed)
        line = f"{seed:4} {share_right(before, truth):8.2f}"
        for name, order in ORDERS.items():
            asked = order(before, np.random.default_rng(seed))[:ANSWERS]
            gains[name].append(share_right(answer(evidence, asked, truth, seed), truth) - share_right(before, truth))
            line += f"{gains[name][-1]:+9.2f} {(before.proposed[asked] != truth[asked]).sum():6}"
        print(line, flush=True)
    page, random = (np.mean(gains[name]) for name in ORDERS)
    print(f"gain of {ANSWERS} answers in points: {page:+.2f} in the page's order, {random:+.2f} at random")


if __name__ == "__main__":
    main()
