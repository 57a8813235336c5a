"""CIFAR-10 as a folder of class folders, PNG and JPEG (quality 95) in turn: real photographs for the folder path.

python bench/cifar_folder.py ../shared/data/cifar10 /tmp/cifar-photos
python bench/accuracy.py --data /tmp/cifar-photos --recipes simplenn-augment --label -folder
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tenfold import datasets


def main() -> None:
    """Write 60,000 files: train/CLASS/00000.png, train/CLASS/00001.jpg, …, test/CLASS/…"""
    data, out = datasets.load(sys.argv[1]), Path(sys.argv[2])
    for part, rows in data.parts.items():
        for name in data.classes:
            (out / part / name).mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(rows):
            image = Image.fromarray(np.ascontiguousarray(data.images[row].transpose(1, 2, 0)))
            stem = out / part / data.classes[data.labels[row]] / f"{number:05d}"
            if number % 2:
                image.save(stem.with_suffix(".jpg"), quality=95)
            else:
                image.save(stem.with_suffix(".png"))


if __name__ == "__main__":
    main()
