"""Makes the lists that recipes/products45_frozen.yaml and distillation.py read, beside the photos of products-45.

    python benchmarks/products45.py products45 picks.jsonl

PRODUCTS holds train/CLASS, test/CLASS and products.jsonl (path, label, small, attributes; one line a photo); picks are
lines of path, pick, second, sure. Written: small.jsonl, the training photos that have a pick; validation.jsonl, the
other training photos of the same classes, less those with a title of the first; and test.jsonl, the test photos.
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
    titles = {row.get("title") for row in products if row["path"] in picks}
    others: dict[str, list[dict]] = {"validation": [], "test": []}
    for row in products:
        part = "test" if row["path"].startswith("test/") else "validation"
        known = part == "validation" and (row["path"] in picks or row.get("title") in titles)
        if row["label"] in classes and not known:
            others[part].append({"path": row["path"], "label": row["label"]})
    for part, rows in others.items():
        write_lines(arguments.products / f"{part}.jsonl", rows)


if __name__ == "__main__":
    main()
