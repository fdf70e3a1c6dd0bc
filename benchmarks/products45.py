"""Makes the two lists that recipes/products45_frozen.yaml reads, beside the photos of products-45.

    python benchmarks/products45.py products45 picks.jsonl

PRODUCTS holds train/CLASS, test/CLASS and products.jsonl (path, label, small, attributes; one line a photo); picks are
lines of path, pick, second, sure. Written: small.jsonl, the training photos that have a pick, and test.jsonl, the test
photos of the same classes.
"""

import argparse
import json
from pathlib import Path


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{path}: {len(rows):,} photos of {len({row['label'] for row in rows})} classes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("products", type=Path)
    parser.add_argument("picks", type=Path)
    arguments = parser.parse_args()
    picks = {row["path"]: row for row in read_lines(arguments.picks)}
    products = read_lines(arguments.products / "products.jsonl")
    small = [
        {key: row[key] for key in ("path", "label", "description", "attributes") if row.get(key)}
        | {"pick": pick["pick"], "pick_second": pick["second"], "pick_sure": pick["sure"]}
        for row in products
        if (pick := picks.get(row["path"]))
    ]
    write_lines(arguments.products / "small.jsonl", small)
    classes = {row["label"] for row in small}
    test = [row for row in products if row["path"].startswith("test/") and row["label"] in classes]
    write_lines(arguments.products / "test.jsonl", [{"path": row["path"], "label": row["label"]} for row in test])


if __name__ == "__main__":
    main()
