"""Do flipped bytes end in a traceback, a hang or a count that is silently another one?

    python benchmarks/fuzz.py --pictures 5000 --captions 2000 --shards 500 --stores 500 --tables 500 --runs 500

Each file is made whole, some of its bytes are changed, cut or repeated (by `--seed`), and it is read as the stages read
it. Allowed ends: what was there, what is counted as left out or unreadable, or one error of the package on one line.
Prints a line a kind and exits with 1 if anything else was seen; the file that did it is kept in `--keep`.
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gpt4image import progress
from gpt4image.cli.failures import explain_failure
from gpt4image.describe import DescribeSettings, Description, DescriptionStore, describe
from gpt4image.describe.exchange.import_stage import ImportSettings, import_descriptions
from gpt4image.describe.store.rows import DescribedImage
from gpt4image.embed.table import EmbeddingTable, save_table
from gpt4image.errors import Gpt4ImageError
from gpt4image.images import open_images, scan_images
from gpt4image.runs import RunManifest, load_manifest
from gpt4image.train.checkpoint import load_checkpoint, save_checkpoint
from gpt4image.train.run_folder import MetricsLog, load_content

LONGEST_S = 60
"""A single file that takes longer counts as a hang."""
MARKS = b"\"',:;\n\r\t {}[]\\/.0-1aeN"
"""Half of the flipped bytes become one of these; others make most texts no UTF-8, which ends all further reading."""
FORMATS = ("jpg", "png", "gif", "bmp", "tif", "webp", "avif", "jp2", "tga", "ppm", "ico", "dds")


class HangError(Exception):
    """A file took longer than allowed."""


class SilentError(Exception):
    """A count is another one, and nothing was said."""


def change(data: bytes, draw: random.Random) -> bytes:
    """The bytes, a few of them flipped, cut off or repeated."""
    changed = bytearray(data)
    match draw.randrange(4):
        case 0 if len(changed) > 1:
            del changed[draw.randrange(len(changed)) :]
        case 1:
            place = draw.randrange(len(changed) + 1)
            changed[place:place] = changed[:place][-draw.randrange(1, 200) :]
        case _:
            for _ in range(draw.choice((1, 1, 2, 10, 100))):
                if changed:
                    changed[draw.randrange(len(changed))] = draw.choice((draw.randrange(256), draw.choice(MARKS)))
    return bytes(changed)


def picture(draw: random.Random) -> Image.Image:
    pixels = np.random.default_rng(draw.randrange(1 << 30)).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def require(is_so: bool, words: str) -> None:
    if not is_so:
        raise SilentError(words)


def try_picture(folder: Path, draw: random.Random) -> None:
    """One whole picture and one that is changed: one or two can be read, and the other is named."""
    suffix = draw.choice(FORMATS)
    (folder / "set").mkdir()
    picture(draw).save(folder / "set/whole.png")
    buffer = io.BytesIO()
    picture(draw).save(buffer, Image.registered_extensions()[f".{suffix}"])
    (folder / f"set/changed.{suffix}").write_bytes(change(buffer.getvalue(), draw))
    images = open_images(str(folder / "set"))
    scan = scan_images(images, folder / "scan.sqlite")
    require(len(images) == 2, f"{len(images)} images")
    require(int((~scan.readable).sum()) == len(scan.errors), "unreadable images without a reason")
    for index in np.flatnonzero(scan.readable):
        require(images.decode(int(index)).mode == "RGB", "not RGB")


def try_captions(folder: Path, draw: random.Random) -> None:
    """What is said to be written is in the store."""
    (folder / "set").mkdir()
    for number in range(4):
        picture(draw).save(folder / f"set/{number}.png")
    rows = [(f"{number}.png", f"a text, {number}\nwith größe") for number in range(4)]
    forms: dict[str, bytes] = {
        "c.jsonl": "\n".join(json.dumps({"path": key, "caption": text}) for key, text in rows).encode(),
        "c.csv": ("path,caption\n" + "".join(f'{key},"{text}"\n' for key, text in rows)).encode(
            draw.choice(("utf-8", "utf-16", "utf-8-sig"))
        ),
    }
    name = draw.choice(list(forms))
    (folder / name).write_bytes(change(forms[name], draw))
    if draw.random() < 0.5:
        taken = import_descriptions(ImportSettings(folder / "work", folder / name, images=str(folder / "set")))
        written = taken.written
    else:
        how: dict[str, Any] = {"describer": "replay", "file": folder / name, "field": ("caption",)}
        written = describe(DescribeSettings(str(folder / "set"), folder / "work", **how)).new
    with contextlib.closing(sqlite3.connect(folder / "work/descriptions.sqlite")) as connection:
        (stored,) = connection.execute("SELECT COUNT(*) FROM descriptions").fetchone()
    require(stored == written, f"{written} written, {stored} in the store")


def try_shard(folder: Path, draw: random.Random) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as shard:
        for number in range(4):
            encoded = io.BytesIO()
            picture(draw).save(encoded, "PNG")
            for suffix, content in (("png", encoded.getvalue()), ("cls", str(number % 2).encode())):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    (folder / "a.tar").write_bytes(change(buffer.getvalue(), draw))
    images = open_images(f"webdataset:{folder / 'a.tar'}")
    scan = scan_images(images, folder / "scan.sqlite")
    require(int((~scan.readable).sum()) == len(scan.errors), "unreadable images without a reason")


def try_store(folder: Path, draw: random.Random) -> None:
    with DescriptionStore.open(folder, create=True) as store:
        store.write_images(DescribedImage(f"{number:064x}", f"{number}.png", "cat") for number in range(40))
        store.write(Description(f"{number:064x}", "p", "d", text=f"text {number}") for number in range(40))
    path = folder / "descriptions.sqlite"
    path.write_bytes(change(path.read_bytes(), draw))
    with DescriptionStore.open(folder) as store:
        counted, read = sum(store.counts().values()), sum(1 for _ in store.descriptions())
    require(counted == read, f"{counted} counted, {read} read")


def try_table(folder: Path, draw: random.Random) -> None:
    import pyarrow as pa

    digests = [f"{number:064x}" for number in range(20)]
    rows = pa.table({"digest": digests, "prompt": ["p"] * 20, "text_hash": [digest[-16:] for digest in digests]})
    save_table(folder / "table", np.ones((20, 8)), rows, {"encoder": "e", "prompts": ["p"], "max_tokens": 8})
    path = draw.choice(sorted((folder / "table").iterdir()))
    path.write_bytes(change(path.read_bytes(), draw))
    table = EmbeddingTable.open(folder / "table")
    require(len(table.vectors) == table.manifest["num_rows"], "vectors and rows differ")


def try_run(folder: Path, draw: random.Random) -> None:
    import torch

    network = torch.nn.Linear(4, 2)
    save_checkpoint(folder / "checkpoints/last.pt", 3, {"network": network})
    RunManifest("m", {}, ["a", "b"], {}, 4, "set", 1, 0, "").save(folder)
    (folder / "settings.yaml").write_text("settings: {lr: 0.1}\ncontent: {hash: a}\n")
    (folder / "metrics.jsonl").write_text("".join(json.dumps({"epoch": epoch}) + "\n" for epoch in range(1, 4)))
    path = draw.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    path.write_bytes(change(path.read_bytes(), draw))
    MetricsLog(folder, 3)
    load_manifest(folder)
    load_content(folder)
    load_checkpoint(folder / "checkpoints/last.pt", {"network": network})


KINDS: dict[str, Callable[[Path, random.Random], None]] = {
    "pictures": try_picture,
    "captions": try_captions,
    "shards": try_shard,
    "stores": try_store,
    "tables": try_table,
    "runs": try_run,
}


@contextlib.contextmanager
def limited() -> Iterator[None]:
    def end(number: int, frame: object) -> None:
        raise HangError

    signal.signal(signal.SIGALRM, end)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)


def judge(run: Callable[[Path, random.Random], None], folder: Path, draw: random.Random) -> str:
    """`fine`, `refused`, or what must not be."""
    try:
        with limited():
            run(folder, draw)
    except Gpt4ImageError as error:
        return "refused" if "\n" not in str(error) else f"several lines: {error}"
    except Exception as error:
        return "refused" if explain_failure(error) else f"{type(error).__name__}: {error}"
    return "fine"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-out"))
    arguments = parser.parse_args()
    progress.silence()
    num_bad = 0
    for kind, run in KINDS.items():
        ends: Counter[str] = Counter()
        for number in range(getattr(arguments, kind)):
            with tempfile.TemporaryDirectory() as folder:
                os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
                work = Path(folder, "x")
                work.mkdir()
                end = judge(run, work, random.Random(f"{arguments.seed} {kind} {number}"))
                ends[end if end in ("fine", "refused") else "BAD"] += 1
                if end not in ("fine", "refused"):
                    num_bad += 1
                    print(f"{kind} {number}: {' '.join(end.split())[:300]}", flush=True)
                    shutil.copytree(work, arguments.keep / f"{kind}-{number}", dirs_exist_ok=True)
        print(f"{kind}: {dict(ends)}", flush=True)
    return int(num_bad > 0)


if __name__ == "__main__":
    sys.exit(main())
