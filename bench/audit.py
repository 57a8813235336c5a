"""How good is `tenfold audit`? Recall on planted copies, natural pairs to be looked at, recall on planted wrong labels.

    python bench/audit.py [--data cifar10] [--each 200] [--seed 0] [--out bench/results/audit] [--labels 6000]

Copies of randomly chosen images are appended to the data: exact, JPEG of quality 75 and 50, resized to three quarters
and back, mirrored, cropped by up to 3 pixels at each side, brightened, three of these at once. Printed: the share of
each kind that is found, the number of natural pairs, how many val or test images have one in training, the seconds.
Written: duplicates.json, and pairs.png, 100 natural near pairs drawn at random, for a person's judgement in pairs.json.
--labels N: wrong labels in N training images instead, 2 % and 5 %.
"""

import argparse
import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tenfold.checks.audit import labels
from tenfold.checks.audit.duplicates import Pair, exact_groups, near_pairs
from tenfold.checks.audit.lists import contiguous, parts_of
from tenfold.datasets import load
from tenfold.datasets.dataset import Dataset
from tenfold.reports.mosaics import image_grid

Picture = NDArray[np.uint8]
Random = np.random.Generator
TURNS = {"": (), "mirrored": (-1,), "upside down": (-2,)}


def jpeg(picture: Picture, quality: int) -> Picture:
    """Written as JPEG and read again."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def cropped(picture: Picture, random: Random) -> Picture:
    """0 to 3 pixels cut off at each side, at least one in all; resized to what it was."""
    side, cut = len(picture), np.zeros(4, np.int64)
    while not cut.any():
        cut = random.integers(0, 4, 4)
    box = (cut[0], cut[1], side - cut[2], side - cut[3])
    return np.array(Image.fromarray(picture).crop(box).resize((side, side), Image.Resampling.BILINEAR))


def resized(picture: Picture) -> Picture:
    """Three quarters of the size, and back."""
    side = len(picture)
    small = Image.fromarray(picture).resize((side * 3 // 4, side * 3 // 4), Image.Resampling.BILINEAR)
    return np.array(small.resize((side, side), Image.Resampling.BICUBIC))


def brightened(picture: Picture, random: Random) -> Picture:
    """Contrast × 0.7 to 1.3, brightness ± 20."""
    brighter: Picture = np.clip(picture * random.uniform(0.7, 1.3) + random.uniform(-20, 20), 0, 255).astype(np.uint8)
    return brighter


def mirrored(picture: Picture) -> Picture:
    """Left and right exchanged."""
    return np.ascontiguousarray(picture[:, ::-1])


KINDS: dict[str, Callable[[Picture, Random], Picture]] = {
    "exact": lambda picture, _: picture,
    "JPEG 75": lambda picture, _: jpeg(picture, 75),
    "JPEG 50": lambda picture, _: jpeg(picture, 50),
    "resized": lambda picture, _: resized(picture),
    "mirrored": lambda picture, _: mirrored(picture),
    "cropped": cropped,
    "brightened": brightened,
    "mirrored, cropped, JPEG 75": lambda picture, random: jpeg(cropped(mirrored(picture), random), 75),
}


def duplicates(data: Dataset, each: int, seed: int, out: Path) -> dict[str, Any]:
    """Plant, find, and draw natural pairs."""
    random, count = np.random.default_rng(seed), len(data.labels)
    sources = {kind: random.choice(count, each, replace=False) for kind in KINDS}
    originals = contiguous(data.images, np.arange(count))
    made = [np.stack([KINDS[kind](originals[row], random) for row in rows]) for kind, rows in sources.items()]
    images = np.concatenate([originals, *made]).transpose(0, 3, 1, 2)
    began = time.perf_counter()
    groups = exact_groups(images)
    exact_seconds = time.perf_counter() - began
    pairs, dropped = near_pairs(images)
    near_seconds = time.perf_counter() - began - exact_seconds
    found = {(pair.first, pair.second) for pair in pairs}
    found |= {(group[0], other) for group in groups for other in group[1:]}
    recall, at = {}, count
    for kind, rows in sources.items():
        recall[kind] = float(np.mean([(int(row), at + index) in found for index, row in enumerate(rows)]))
        at += each
    natural = [pair for pair in pairs if pair.second < count]
    chosen = [natural[i] for i in sorted(random.choice(len(natural), min(100, len(natural)), replace=False))]
    draw(data, chosen, out / "pairs.png")
    (out / "pairs.csv").write_text(
        "a,b,turn,colours,details\n"
        + "".join(f"{p.first},{p.second},{p.turn},{p.colours:.4f},{p.details:.4f}\n" for p in chosen)
    )
    parts = parts_of(data)
    across = {
        r for p in natural if parts[p.first] != parts[p.second] for r in (p.first, p.second) if parts[r] != "train"
    }
    across |= {r for g in groups for r in g if r < count and parts[r] != "train" and any(
        s < count and parts[s] == "train" for s in g)}  # fmt: skip
    return {
        "recall": recall,
        "natural_exact_groups": sum(sum(r < count for r in group) > 1 for group in groups),
        "natural_near_pairs": {turn: sum(p.turn == turn for p in natural) for turn in TURNS},
        "judged_images_with_a_copy_in_training": len(across),
        "dropped": dropped,
        "seconds": {"exact": round(exact_seconds, 1), "near": round(near_seconds, 1)},
        "each": each,
        "seed": seed,
    }


def draw(data: Dataset, pairs: list[Pair], file: Path) -> None:
    """A sheet of pairs, numbered, the second turned back; 5 pairs a row, 50 a sheet."""
    for first in range(0, len(pairs), 50):
        images, said = [], []
        for number, pair in enumerate(pairs[first : first + 50], first):
            images += [data.images[pair.first], np.flip(data.images[pair.second], TURNS[pair.turn])]
            said += [f"{number}: {pair.first}", f"{pair.second} {1 - pair.details:.2f} {pair.turn}"]
        file.with_stem(f"{file.stem}-{first}").write_bytes(image_grid(images, said, f"pairs from {first}", 10))


def wrong_labels(data: Dataset, count: int, share: float, seed: int) -> dict[str, Any]:
    """Wrong labels planted in `count` training images: of those reported, how many are; of all, how many are found."""
    random = np.random.default_rng(seed)
    rows = random.choice(data.parts["train"], count, replace=False)
    truth = data.labels[rows]
    bad = random.choice(count, round(share * count), replace=False)
    given = truth.copy()
    given[bad] = (given[bad] + random.integers(1, len(data.classes), len(bad))) % len(data.classes)
    images = contiguous(data.images, rows).transpose(0, 3, 1, 2)
    planted = replace(
        data, images=images, labels=given, ids=[str(i) for i in range(count)], parts={"train": np.arange(count)}
    )
    began = time.perf_counter()
    probabilities = labels.out_of_fold(planted)
    seconds = time.perf_counter() - began
    hits = np.isin([suspect.row for suspect in labels.confident(probabilities, given)], bad)
    return {
        "images": count,
        "planted": len(bad),
        "reported": len(hits),
        "recall": round(float(hits.sum() / len(bad)), 4),
        "precision": round(float(hits.mean()), 4) if len(hits) else None,
        "precision_of_the_first": round(float(hits[: len(bad)].mean()), 4) if len(hits) else None,
        "accuracy_of_the_nets": round(float((probabilities.argmax(1) == truth).mean()), 4),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--each", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench/results/audit"))
    parser.add_argument("--labels", type=int)
    chosen = parser.parse_args()
    data = load(chosen.data)
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.labels:
        figures: Any = [wrong_labels(data, chosen.labels, share, chosen.seed) for share in (0.02, 0.05)]
    else:
        figures = duplicates(data, chosen.each, chosen.seed, chosen.out)
    name = "labels" if chosen.labels else "duplicates"
    text = json.dumps(figures, indent=2)
    print(text)
    (chosen.out / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
