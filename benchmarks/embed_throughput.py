"""How fast are descriptions embedded, against `SentenceTransformer.encode` of the same model in the same run?

    python benchmarks/embed_throughput.py [--texts 3000] [--rounds 3] [--texts-file FILE.jsonl ...]

The texts are the package's descriptions of Fashion-MNIST, and those of further files with the same fields; each text
once. All settings take turns, and processor time is compared, so that other work on the machine cancels. The precision
is verified as `gpt4image embed` does it: on a sample, cosine with float32 above 0.999.
"""

import argparse
import json
import time
from importlib.resources import files
from pathlib import Path

import numpy as np

from gpt4image.embed.encoders.load import load_encoder
from gpt4image.embed.encoders.precision import lower_precision

FIELDS = ("description", "attributes", "blind")


def read_texts(paths: list[Path], number: int) -> list[str]:
    pages = [files("gpt4image.demo").joinpath("descriptions.jsonl").read_text(encoding="utf-8")]
    pages += [path.read_text(encoding="utf-8") for path in paths]
    rows = [json.loads(line) for page in pages for line in page.splitlines()]
    texts = list(dict.fromkeys(row[field] for row in rows for field in FIELDS if field in row))
    order = np.random.default_rng(0).permutation(len(texts))[:number]
    return [texts[place] for place in order]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts-file", type=Path, nargs="*", default=[])
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp16"])
    arguments = parser.parse_args()
    texts = read_texts(arguments.texts_file, arguments.texts)
    plain, ours, fast = (load_encoder(arguments.encoder, "cpu") for _ in range(3))
    start = time.process_time()
    cosine = lower_precision(fast, arguments.precision, texts)
    print(f"{len(texts)} texts; {arguments.precision}: least cosine of a sample {cosine:.5f}", flush=True)
    print(f"made ready and verified in {time.process_time() - start:.1f} s of processor time", flush=True)
    model = plain._model  # type: ignore[attr-defined]
    settings = {
        "SentenceTransformer.encode": lambda: model.encode(texts, normalize_embeddings=True, show_progress_bar=False),
        "fp32": lambda: ours.encode(texts),
        arguments.precision: lambda: fast.encode(texts),
    }
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    vectors = {}
    for _ in range(arguments.rounds):
        for name, encode in settings.items():
            start = time.process_time()
            vectors[name] = encode()
            seconds[name].append(time.process_time() - start)
    reference = vectors["SentenceTransformer.encode"]
    for name, taken in seconds.items():
        ratios = np.array(seconds["SentenceTransformer.encode"]) / np.array(taken)
        least = (vectors[name] * reference).sum(axis=1).min()
        print(
            f"{name}: {len(texts) / np.median(taken):.0f} a second of processor time, ratio {np.median(ratios):.2f}"
            f" ({ratios.min():.2f} to {ratios.max():.2f}), least cosine of all texts {least:.5f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
