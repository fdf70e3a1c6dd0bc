"""Which share of images has its class right after weighing, beside everything that people use for it today?

    python labels.py [--data clothing fashion products] [--draws 5] [--first-seed 100] [--tables share errors open tail]

Labels are hidden or spoilt on purpose (`situations`); each line is the mean over draws. Competitors: each single witness, today's
reader of texts, confident learning (cleanlab) on text, image and joined features, Dawid and Skene's model (crowd-kit).
"""

import argparse
import sys
import time

sys.path.insert(0, "/work/lab/weigh")
import numpy as np
import peers
from situations import keep, load, situation, take
from sklearn.metrics import average_precision_score, roc_auc_score
from weigh import Evidence, Picks, Vectors, weigh

SETS = {
    "clothing": ("clothing", ("blind",)),
    "fashion": ("fashion", ("blind",)),
    "products": ("products", ("attributes",)),
    "shop": ("products", ("description",)),
}
SHARE = [
    "none",
    "1",
    "3",
    "5",
    "10",
    "half10",
    "mix10",
    "clean",
    "u20",
    "u40",
    "n20",
    "n40",
    "s20",
    "s40",
    "t20",
    "t40",
    "a20",
    "a40",
    "clean+texts30",
    "clean+picks30",
    "clean+both30",
    "clean+alike",
]
NOISE = ["u20", "u40", "n20", "n40", "s20", "t20", "t40", "a20", "a40"]
PAIRS = {
    "clothing": [("shirt", "t-shirt"), ("pants", "shorts"), ("dress", "skirt")],
    "fashion": [("Shirt", "T-shirt/top"), ("Coat", "Pullover"), ("Sneaker", "Sandal")],
}


def make_evidence(d, given, use="ptin"):
    rows = np.arange(len(given))
    picks = (
        (Picks("pick", d["pick"].astype(np.int64), d["second"].astype(np.int64), d["sure"].astype(np.float32)),)
        if "p" in use
        else ()
    )
    texts = (
        tuple(
            Vectors(t, "text", v, np.where(d["hast"][t], rows, -1), d["names"] if "n" in use else None)
            for t, v in d["texts"].items()
        )
        if "t" in use
        else ()
    )
    return Evidence(
        d["C"], given.astype(np.int64), picks, texts, Vectors("image", "image", d["img"], rows) if "i" in use else None
    )


def add(table, key, value):
    table.setdefault(key, []).append(value)


def share(d, situations, seeds, use="ptin", with_peers=True):
    for s in situations:
        row, t0, over, ours_s = {}, time.time(), [], 0
        for seed in seeds:
            dd, g = situation(d, s, seed)
            y = dd["y"]
            t = time.time()
            w = weigh(make_evidence(dd, g, use), seed)
            ours_s += time.time() - t
            add(row, "weighed", 100 * (w.classes[:, 0] == y).mean())
            over.append(100 * (w.states == 1).mean())
            hyp = w.reliability["hypothesis"]
            if with_peers:
                for name, p in peers.all_peers(dd, g, seed).items():
                    add(row, name, 100 * (p == y).mean())
        best = max((np.mean(v) for k, v in row.items() if k not in ("weighed", "given")), default=np.nan)
        print(
            f"{s:15} "
            + " ".join(f"{k} {np.mean(v):.1f}" for k, v in row.items())
            + f"  | best peer {best:.1f} gap {np.mean(row['weighed']) - best:+.1f} overruled {np.mean(over):.2f} [{hyp}] {ours_s / len(seeds):.1f} s",
            flush=True,
        )


def errors(d, situations, seeds):
    """Average precision of the ranking of wrong labels: ours with all witnesses, ours with image features only, cleanlab with the same image features."""
    from cleanlab.rank import get_label_quality_scores

    for s in situations:
        row = {}
        for seed in seeds:
            dd, g = situation(d, s, seed)
            wrong = g != dd["y"]
            P = peers.cross(peers.unit(dd["img"]), g, dd["C"], seed) + 1e-9
            P /= P.sum(1, keepdims=True)
            add(row, "all", average_precision_score(wrong, weigh(make_evidence(dd, g), seed).doubt))
            add(row, "images", average_precision_score(wrong, weigh(make_evidence(dd, g, "i"), seed).doubt))
            for m in ("self_confidence", "normalized_margin"):
                add(row, "cleanlab " + m[:4], average_precision_score(wrong, -get_label_quality_scores(g, P, method=m)))
        print(f"{s:10} " + " ".join(f"{k} {np.mean(v):.3f}" for k, v in row.items()), flush=True)


def unknown(d, seeds):
    for seed in seeds:
        out = np.random.default_rng([seed, 3]).choice(d["C"], 3, replace=False)
        rest = np.setdiff1d(np.arange(d["C"]), out)
        y = d["y"]
        e = take(d, np.arange(len(y)), rest)
        strange = np.isin(y, out)
        g = keep(np.where(strange, -5, e["y"]), 10, seed, np.arange(e["C"]))
        w = weigh(make_evidence(e, g), seed)
        un = g < 0
        s = w.reliability["strangeness"]
        is_open = w.states == 3
        print(
            f"left out {[str(d['classes'][i]) for i in out]}: AUROC {roc_auc_score(strange[un], s[un]):.3f}, open: {100 * is_open[strange].mean():.1f} % of them, {100 * is_open[~strange & un].mean():.1f} % of the others; right of others {100 * (w.classes[:, 0] == e['y'])[~strange].mean():.1f}",
            flush=True,
        )


def tail(d, seeds, labels=3):
    for seed in seeds:
        rng = np.random.default_rng([seed, 4])
        order = rng.permutation(d["C"])
        big = int(np.bincount(d["y"]).min())
        size = np.maximum(np.round(big * 20 ** (-np.arange(d["C"]) / (d["C"] - 1))), 2).astype(int)
        rows = np.concatenate([rng.permutation(np.flatnonzero(d["y"] == c))[:k] for c, k in zip(order, size)])
        e = take(d, rows, np.arange(d["C"]))
        y = e["y"]
        for s in (0, labels, 10):
            g = keep(y, s, seed) if s else -np.ones(len(y), int)
            w = weigh(make_evidence(e, g), seed)
            truth = np.bincount(y, minlength=e["C"]) / len(y)
            small = np.flatnonzero(np.bincount(y, minlength=e["C"]) <= max(4, size.min()))
            P = peers.all_peers(e, g, seed, slow=False)
            print(
                f"tail {len(y)} images, {s} a class: right {100 * (w.classes[:, 0] == y).mean():.1f} (pick {100 * (e['pick'] == y).mean():.1f}), error of shares {100 * np.abs(np.array(w.reliability['shares']) - truth).mean():.2f} points, smallest classes right {100 * (w.classes[:, 0] == y)[np.isin(y, small)].mean():.0f} (pick {100 * (e['pick'] == y)[np.isin(y, small)].mean():.0f})",
                flush=True,
            )


def two(d, pairs, seeds):
    for pair in pairs:
        c = [list(d["classes"]).index(p) for p in pair]
        e = take(d, np.flatnonzero(np.isin(d["y"], c)), sorted(c))
        print(pair, len(e["y"]))
        share(e, ["none", "3", "10", "clean", "u20", "u40"], seeds)
        errors(e, ["u20", "u40"], seeds)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", nargs="*", default=["clothing", "fashion", "products"])
    p.add_argument("--draws", type=int, default=5)
    p.add_argument("--first-seed", type=int, default=100)
    p.add_argument("--tables", nargs="*", default=["share", "errors", "open", "tail", "two"])
    p.add_argument("--situations", nargs="*")
    p.add_argument("--use", default="ptin")
    p.add_argument("--no-peers", action="store_true")
    a = p.parse_args()
    seeds = range(a.first_seed, a.first_seed + a.draws)
    for name in a.data:
        d = load(*SETS[name])
        print(f"== {name}: {len(d['y'])} images, {d['C']} classes, witnesses {a.use}", flush=True)
        if "share" in a.tables:
            share(d, a.situations or SHARE, seeds, a.use, not a.no_peers)
        if "errors" in a.tables:
            errors(d, a.situations or NOISE, seeds)
        if "open" in a.tables:
            unknown(d, seeds)
        if "tail" in a.tables:
            tail(d, seeds)
        if "two" in a.tables and name in PAIRS:
            two(d, PAIRS[name], seeds)


if __name__ == "__main__":
    main()
