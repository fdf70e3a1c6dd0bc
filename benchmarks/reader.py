"""How many training targets are right after texts and labels are weighed together?

    gpt4image describe fashion-mnist:1k work --describer replay --field blind
    gpt4image embed work --class-names T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag "Ankle boot"
    python benchmarks/reader.py fashion-mnist:1k work

The images' own labels are taken for the truth, spoilt on purpose, and what the image model would be taught is compared
with them. No image model is trained.
"""

import argparse
import time
from pathlib import Path

import numpy as np

SITUATIONS = {
    "clean": {},
    "5 % as the next class": {"confused_labels": 0.05},
    "20 % as the next class": {"confused_labels": 0.2},
    "40 % as the next class": {"confused_labels": 0.4},
    "10 % any other class": {"wrong_labels": 0.1},
    "40 % any other class": {"wrong_labels": 0.4},
    "3 labels a class": {"keep_labels": 3},
    "10 labels a class": {"keep_labels": 10},
    "10 a class, 30 % of them wrong": {"keep_labels": 10, "wrong_labels": 0.3},
    "no labels": {"keep_labels": 0},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("images")
    parser.add_argument("work", type=Path)
    parser.add_argument("--prompts", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    from gpt4image.images import open_images
    from gpt4image.train.data.inputs import load_inputs
    from gpt4image.train.settings import TrainSettings
    from gpt4image.train.targets.classes import compute_class_targets

    truth = dict(zip((images := open_images(arguments.images)).keys, images.labels, strict=True))
    heads = f"{'given right %':>14} {'taught right %':>15} {'log-loss':>9} {'noise found %':>14} {'seconds':>8}"
    print(f"{'labels':32} {heads}")
    for name, values in SITUATIONS.items():
        rows = []
        for seed in range(arguments.seeds):
            settings = TrainSettings(
                arguments.images, Path("unused"), arguments.work, prompts=tuple(arguments.prompts), seed=seed, **values
            )
            inputs = load_inputs(settings)
            true = np.array([truth[key] for key in inputs.images.keys])
            start_s = time.perf_counter()
            targets, facts = compute_class_targets(settings, inputs)
            seconds = time.perf_counter() - start_s
            taught = targets[np.arange(len(true))]
            loss = -np.log(taught[np.arange(len(true)), true] + 1e-9).mean()
            given = inputs.images.labels
            right = (given == true)[given >= 0].mean() if (given >= 0).any() else np.nan
            found = facts.get("noise", np.nan)
            rows.append((100 * right, 100 * (taught.argmax(1) == true).mean(), loss, 100 * found, seconds))
        given, right, loss, found, seconds = np.mean(rows, axis=0)
        spread = np.ptp(rows, axis=0)[1] / 2
        print(
            f"{name:32} {given:14.1f} {right:9.1f} ± {spread:3.1f} {loss:9.3f} {found:14.1f} {seconds:8.1f}", flush=True
        )


if __name__ == "__main__":
    main()
