"""The built-in shapes: deterministic, balanced, upright, and different from each other."""

import threading

import numpy as np
import pytest
import torch

from tenfold.datasets import arrows, shapes
from tenfold.errors import DataError

PROGRESS = []


@pytest.fixture(scope="module")
def data():
    return shapes.load(progress=lambda *step: PROGRESS.append(step))


def test_what_a_dataset_promises(data):
    assert data.name == "shapes"
    assert data.images.shape == (12_000, 3, 32, 32)
    assert data.images.dtype == np.uint8
    assert data.images.transpose(0, 2, 3, 1).flags.c_contiguous
    assert data.labels.dtype == np.int64
    assert data.classes == (
        "disc", "ring", "square", "diamond", "triangle_up", "triangle_down", "plus", "cross", "star", "crescent",
    )  # fmt: skip
    assert (data.ids[0], data.ids[9_999], data.ids[10_000], data.ids[-1]) == (
        "train/0", "train/9999", "test/0", "test/1999",
    )  # fmt: skip
    assert len(data.ids) == 12_000


def test_balanced_and_shuffled(data):
    assert data.counts(data.parts["train"]) == [1000] * 10
    assert data.counts(data.parts["test"]) == [200] * 10
    assert min(data.counts(np.arange(500))) > 20


def test_the_same_bytes_everywhere(data):
    """Another machine, numpy or number of threads draws the same pictures; a change of them needs a new name."""
    assert data.fingerprint == "a09350bcf636e865f0b6bba8368bd25d4675e0c85513dc39d85778ac41ebf502"


def test_independent_of_threads_and_global_seeds(data):
    results = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(5)
    np.random.seed(5)
    worker = threading.Thread(target=lambda: results.append(shapes.load()))
    worker.start()
    worker.join()
    torch.set_num_threads(threads)
    assert results[0].fingerprint == data.fingerprint


def test_no_two_pictures_are_the_same(data):
    assert len({image.tobytes() for image in data.images.transpose(0, 2, 3, 1)}) == 12_000


def test_another_size_shows_the_same_pictures(data):
    small = shapes.load(image_size=16)
    assert small.images.shape == (12_000, 3, 16, 16)
    assert np.array_equal(small.labels, data.labels)
    shrunk = data.images[:500].reshape(500, 3, 16, 2, 16, 2).mean((3, 5))
    assert np.corrcoef(shrunk.ravel(), small.images[:500].ravel())[0, 1] > 0.9


def masks(size=96, degrees=0.0):
    """Which pixels each shape covers, drawn with radius 0.8: bool [10, H, W]."""
    grid = ((np.arange(size) + 0.5) * 2 / size - 1).astype(np.float32) / np.float32(0.8)
    x, y = np.broadcast_arrays(grid[None, None, :], -grid[None, :, None])
    c, s = np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))
    return np.concatenate([edge(x * c + y * s, y * c - x * s) < 0 for edge in shapes.SHAPES])


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_every_shape_is_there_and_fits():
    for name, mask in zip(shapes.CLASSES, masks()):
        assert 0.05 < mask.mean() < 0.7, name
        assert not mask[[0, -1]].any(), name
        assert not mask[:, [0, -1]].any(), name


def test_shapes_differ_from_each_other():
    drawn = masks()
    for i in range(10):
        for j in range(i):
            assert overlap(drawn[i], drawn[j]) < 0.85, (shapes.CLASSES[i], shapes.CLASSES[j])


def test_a_horizontal_flip_keeps_labels_and_a_vertical_one_swaps_the_triangles():
    drawn = dict(zip(shapes.CLASSES, masks()))
    for name, mask in drawn.items():
        if name != "crescent":  # Drawn open to the left as often as to the right.
            assert overlap(mask, mask[:, ::-1]) > 0.97, name
    assert overlap(drawn["triangle_up"][::-1], drawn["triangle_down"]) > 0.97
    assert overlap(drawn["triangle_up"], drawn["triangle_down"]) < 0.7


def test_triangles_point_where_their_names_say():
    drawn = dict(zip(shapes.CLASSES, masks()))
    widths = drawn["triangle_up"].sum(axis=1)
    widths = widths[widths > 0]
    assert widths[0] < widths[-1]


@pytest.mark.parametrize("pair", [("square", "diamond"), ("plus", "cross"), ("triangle_up", "triangle_down")])
@pytest.mark.parametrize("degrees", [-18, 18])
def test_the_greatest_tilt_keeps_look_alikes_apart(pair, degrees):
    upright, tilted = (dict(zip(shapes.CLASSES, masks(degrees=angle))) for angle in (0, degrees))
    for name, other in (pair, pair[::-1]):
        assert overlap(tilted[name], upright[name]) > overlap(tilted[name], upright[other])


def test_progress_ends_at_the_total(data):
    assert PROGRESS[-1] == ("drawing shapes", 12_000, 12_000)
    assert sorted(PROGRESS) == PROGRESS


def test_a_path_is_refused(tmp_path):
    with pytest.raises(DataError, match="not read from"):
        shapes.load(tmp_path)


def test_arrows_change_their_class_when_flipped():
    data = arrows.load()
    assert data.classes == ("left", "right", "up", "down")
    assert data.counts(data.parts["train"]) == [1000] * 4
    assert data.counts(data.parts["test"]) == [200] * 4
    assert data.fingerprint == arrows.load().fingerprint
    grid = ((np.arange(32) + 0.5) / 16 - 1).astype(np.float32)
    x, y = grid[None, None], -grid[None, :, None]
    drawn = {name: arrows.arrow(*way(x, y)) < 0 for name, way in arrows.DIRECTIONS.items()}
    assert np.array_equal(drawn["left"][..., ::-1], drawn["right"])
    assert np.array_equal(drawn["up"][..., ::-1], drawn["up"])
    assert np.array_equal(drawn["up"][:, ::-1], drawn["down"])
    ahead = drawn["right"][:, :, 20:].any(1).sum(), drawn["right"][:, :, :12].any(1).sum()
    assert drawn["right"][:, :, 16:].sum() != drawn["left"][:, :, 16:].sum()
    assert min(ahead) > 5
    with pytest.raises(DataError, match="arrows are drawn"):
        arrows.load(path="x")
