"""Ingestion: decoded once, found again at once, rebuilt when damaged, and never half-valid."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from tenfold.datasets import folder, image_cache, images, ingest
from tenfold.errors import DataError

LOAD = "import sys; from pathlib import Path; from tenfold.datasets import folder; "


@pytest.fixture
def decodings(monkeypatch):
    """The list of images decoded so far in this test."""
    calls = []

    def counted(content, size):
        calls.append(size)
        return images.decode(content, size)

    monkeypatch.setattr(ingest, "decode", counted)
    return calls


@pytest.fixture
def many(tmp_path, put):
    """60 images in two classes: three of them may be unreadable."""
    return put(tmp_path / "many", *(f"{name}/{i:02}.png" for name in "ab" for i in range(30)))


def kept_folders(cache):
    return sorted(path for path in (cache / "images").iterdir())


def test_images_are_a_channels_last_view_of_a_memory_map_that_torch_takes(pets):
    data = folder.load(pets, 12)
    pixels = data.images
    assert pixels.strides == (12 * 12 * 3, 1, 12 * 3, 3)
    base = pixels
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    tensor = torch.from_numpy(pixels)
    tensor[0] = 7
    assert folder.load(pets, 12).images[0].tolist() != tensor[0].tolist()


def test_the_second_load_decodes_and_opens_nothing(pets, decodings, monkeypatch):
    first = folder.load(pets, 8)
    assert len(decodings) == 6
    monkeypatch.setattr(images, "read", lambda source: pytest.fail(f"{source} was opened"))
    second = folder.load(pets, 8)
    assert len(decodings) == 6
    assert (first.images == second.images).all()
    assert (first.labels == second.labels).all()
    assert {part: rows.tolist() for part, rows in first.parts.items()} == {
        part: rows.tolist() for part, rows in second.parts.items()
    }
    for name in ("name", "classes", "ids", "fingerprint", "where", "notes", "skipped"):
        assert getattr(first, name) == getattr(second, name)


def test_the_result_does_not_depend_on_how_many_threads_decode(pets, monkeypatch, cache):
    monkeypatch.setattr(ingest, "CHUNK_FILES", 1)
    loaded = []
    for cores in (1, 7):
        monkeypatch.setattr("tenfold.datasets.parallel.usable_cores", lambda cores=cores: cores)
        loaded.append(folder.load(pets, 8))
        shutil.rmtree(cache / "images")
    assert loaded[0].fingerprint == loaded[1].fingerprint
    assert (loaded[0].images == loaded[1].images).all()


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [([(20, 30), (22, 40), (90, 24)], 22), ([(100, 300)], 64), ([(3, 4)], 8), ([(10, 10), (13, 13)], 11)],
)
def test_the_automatic_size_is_the_median_shorter_side_within_bounds(tmp_path, put, sizes, wanted):
    for name in ("a", "b"):
        for i, size in enumerate(sizes):
            put(tmp_path, f"{name}/{i}.png", size=size)
    assert folder.load(tmp_path).image_size == wanted


def test_progress_is_told(many):
    told = []
    folder.load(many, None, False, lambda what, done, total: told.append((what, done, total)))
    assert told == [("measuring", 60, 60), ("decoding", 60, 60)]
    folder.load(many, None, True, lambda what, done, total: told.append((what, done, total)))
    assert told[2:] == [("verifying", 60, 60)]


def test_every_change_of_the_files_is_seen_and_the_old_cache_removed(pets, put, image_bytes, cache):
    def touch():
        os.utime(pets / "cat" / "0.png", ns=(1, 1))

    def add():
        put(pets, "owl/1.png")

    def rename():
        (pets / "cat" / "0.png").rename(pets / "cat" / "9.png")

    def rewrite():
        (pets / "dog" / "0.png").write_bytes(image_bytes("other", seed=99))

    def remove():
        shutil.rmtree(pets / "owl")

    folder.load(pets, 8)
    for change in (touch, add, rename, rewrite, remove):
        before = kept_folders(cache)
        change()
        data = folder.load(pets, 8)
        assert len(kept_folders(cache)) == 1
        assert kept_folders(cache) != before
        for name, image in zip(data.ids, data.images, strict=True):
            assert np.array_equal(image.transpose(1, 2, 0), images.decode(pets / name, 8))


def test_other_sizes_and_sources_keep_their_caches(pets, tmp_path, cache, decodings):
    shutil.copytree(pets, tmp_path / "copy")
    loaded = [folder.load(path, size) for path in (pets, tmp_path / "copy") for size in (8, 9)]
    assert len(kept_folders(cache)) == 4
    assert loaded[0].fingerprint == loaded[2].fingerprint != loaded[1].fingerprint
    count = len(decodings)
    for path in (pets, tmp_path / "copy"):
        for size in (8, 9):
            folder.load(path, size)
    assert len(decodings) == count


def test_a_new_way_of_decoding_decodes_again(pets, decodings, monkeypatch):
    folder.load(pets, 8)
    monkeypatch.setattr(image_cache, "DECODE_VERSION", -1)
    folder.load(pets, 8)
    assert len(decodings) == 12


def test_the_fingerprint_follows_content_label_and_part(pets, put, image_bytes):
    seen = {folder.load(pets, 8).fingerprint}
    (pets / "cat" / "0.png").write_bytes(image_bytes("other", seed=99))
    seen.add(folder.load(pets, 8).fingerprint)
    (pets / "cat").rename(pets / "lion")
    seen.add(folder.load(pets, 8).fingerprint)
    (pets / "lion" / "0.png").rename(pets / "dog" / "9.png")
    seen.add(folder.load(pets, 8).fingerprint)
    assert len(seen) == 4


def test_verify_names_files_that_changed_behind_an_equal_size_and_time(pets, image_bytes):
    path = pets / "cat" / "1.png"
    folder.load(pets, 8)
    info, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    folder.load(pets, 8)
    with pytest.raises(DataError, match=r"contents of 1 file differ .*'cat/1\.png'") as caught:
        folder.load(pets, 8, verify=True)
    rebuilt = caught.value.remedy.split("delete ")[1].split(" and load")[0]
    shutil.rmtree(rebuilt)
    path.write_bytes(image_bytes("1.png", seed=3))
    assert folder.load(pets, 8, verify=True).fingerprint


def damage_missing(path):
    path.unlink()


def damage_empty(path):
    path.write_bytes(b"")


def damage_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_junk(path):
    path.write_bytes(b"\x93NUMPY junk {")


@pytest.mark.parametrize("damage", [damage_missing, damage_empty, damage_half, damage_junk])
@pytest.mark.parametrize("name", ["images.npy", "index.json"])
def test_a_damaged_cache_is_rebuilt(pets, cache, decodings, name, damage):
    pixels = folder.load(pets, 8).images.copy()
    damage(kept_folders(cache)[0] / name)
    second = folder.load(pets, 8)
    assert len(decodings) == 12
    assert (second.images == pixels).all()


@pytest.mark.parametrize(
    "change",
    [{"labels": [0]}, {"labels": [0, 0, 0, 1, 1, 2]}, {"paths": [1]}, {"image_size": 9}, {"extra": 1}, {"parts": None}],
)
def test_an_index_that_contradicts_the_images_is_rebuilt(pets, cache, decodings, change):
    folder.load(pets, 8)
    index = kept_folders(cache)[0] / "index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), **change}))
    assert folder.load(pets, 8).labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(decodings) == 12


def test_images_of_another_shape_or_type_are_rebuilt(pets, cache, decodings):
    folder.load(pets, 8)
    for wrong in (np.zeros((6, 8, 8, 4), np.uint8), np.zeros((6, 8, 8, 3), np.int8), np.array([{}], object)):
        np.save(kept_folders(cache)[0] / "images.npy", wrong, allow_pickle=True)
        folder.load(pets, 8)
    assert len(decodings) == 24


def test_a_few_unreadable_files_are_skipped_and_listed(many, cache):
    (many / "a" / "07.png").write_bytes(b"no image")
    (many / "b" / "00.png").write_bytes((many / "b" / "01.png").read_bytes()[:100])
    (many / "b" / "29.png").unlink()
    (many / "b" / "29.png").symlink_to("nowhere")
    for _ in range(2):
        data = folder.load(many, 8)
        assert [item.path for item in data.skipped] == ["a/07.png", "b/00.png", "b/29.png"]
        assert "damaged or not one of JPEG" in data.skipped[0].reason
        assert "truncated" in data.skipped[1].reason
        assert "No such file" in data.skipped[2].reason
        assert len(data.ids) == len(data.labels) == len(data.images) == len(data.parts["train"]) == 57
        for name, image in zip(data.ids, data.images, strict=True):
            assert np.array_equal(image.transpose(1, 2, 0), images.decode(many / name, 8))
    assert folder.load(many, 8, verify=True).skipped == data.skipped


def test_too_many_unreadable_files_are_refused_with_reasons(many, cache):
    for i in range(4):
        (many / "a" / f"{i:02}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="4 of 60 images cannot be read, more than 5%") as caught:
        folder.load(many)
    assert "a/00.png: The image cannot be decoded" in caught.value.remedy
    assert kept_folders(cache) == []


def test_a_class_without_readable_images_is_refused(many, put):
    put(many, "owl/1.png", content=b"no image")
    with pytest.raises(DataError, match="no training image of class 'owl' can be read"):
        folder.load(many)


def test_a_part_without_readable_images_is_refused(tmp_path, put):
    put(tmp_path, *(f"train/{name}/{i}.png" for name in "ab" for i in range(20)))
    put(tmp_path, "test/a/1.png", content=b"no image")
    with pytest.raises(DataError, match="no image of the 'test' part can be read"):
        folder.load(tmp_path)


def test_odd_metadata_is_no_fault(pets, tmp_path):
    """Pillow warns of it, and warnings are errors here."""
    from PIL import Image

    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\xff\0\0\0\xff\0\0\0"
    Image.new("RGB", (8, 8)).save(pets / "cat" / "odd.jpg", exif=exif)
    assert folder.load(pets, 8).skipped == ()


def test_a_cache_that_cannot_be_made_is_refused_with_the_remedy(pets, monkeypatch):
    monkeypatch.setenv("TENFOLD_CACHE", str(pets / "cat" / "0.png"))
    with pytest.raises(DataError, match="cannot be written: Not a directory") as caught:
        folder.load(pets, 8)
    assert "TENFOLD_CACHE" in caught.value.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_cache_that_may_not_be_written_is_refused(pets, cache):
    cache.chmod(0o555)
    with pytest.raises(DataError, match="Permission denied"):
        folder.load(pets, 8)


def test_a_disk_that_is_too_small_is_found_before_decoding(pets, decodings, monkeypatch, cache):
    usage = shutil.disk_usage(cache)._replace(free=6 * 8 * 8 * 3 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match="more than the disk has left") as caught:
        folder.load(pets, 8)
    assert "TENFOLD_CACHE" in caught.value.remedy
    assert decodings == []


def test_a_disk_that_fills_up_is_an_error_that_leaves_nothing(many, cache, python):
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); "
    done = python(LOAD + limit + "folder.load(Path(sys.argv[1]), 64)", many)
    assert "DataError" in done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert kept_folders(cache) == []


SLOW = """
import sys, time
from pathlib import Path
from tenfold.datasets import folder, ingest, parallel
decode = ingest.decode
def slow(content, size):
    time.sleep(0.03)
    print("decoding", flush=True)
    return decode(content, size)
ingest.decode, ingest.CHUNK_FILES, parallel.usable_cores = slow, 1, lambda: 1
print(folder.load(Path(sys.argv[1]), 8).fingerprint)
"""


def test_a_kill_leaves_nothing_half_valid_and_its_leftovers_are_swept(many, cache):
    with subprocess.Popen([sys.executable, "-c", SLOW, str(many)], stdout=subprocess.PIPE) as process:
        for _ in range(12):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    (leftover,) = kept_folders(cache)
    assert leftover.name.startswith("tmp-")
    assert len(folder.load(many, 8).ids) == 60
    assert leftover.exists(), "it might still be another process at work"
    long_ago = time.time() - image_cache.STALE_SECONDS - 5
    for path in (leftover, *leftover.iterdir()):
        os.utime(path, (long_ago, long_ago))
    folder.load(many, 8)
    assert not leftover.exists()
    assert len(kept_folders(cache)) == 1


def test_an_interrupt_leaves_nothing(many, cache):
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, str(many)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        for _ in range(12):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode != 0
    assert kept_folders(cache) == []


def test_two_processes_at_the_same_files_both_succeed(many, cache):
    """The slow one began first; when it is done, the fast one's result is there, and stays."""
    with subprocess.Popen([sys.executable, "-c", SLOW, str(many)], stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        data = folder.load(many, 8)
        finished = kept_folders(cache)
        printed = process.communicate(timeout=60)[0].split()
    assert process.returncode == 0
    assert len(finished) == 2
    assert printed[-1] == data.fingerprint
    assert len(kept_folders(cache)) == 1
    assert (data.images == folder.load(many, 8).images).all()


def test_threads_at_the_same_files_all_succeed(many, cache):
    """As in a program that has imported torch and is busy already."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(folder.load(many, 8).fingerprint)) for _ in range(4)]
    for thread in threads:
        thread.start()
    torch.randn(200, 200) @ torch.randn(200, 200)
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(kept_folders(cache)) == 1


def test_memory_stays_small_however_far_the_reader_is_behind():
    from tenfold.cores import usable_cores
    from tenfold.datasets.parallel import in_parallel

    started = []
    results = in_parallel(lambda chunk: started.append(chunk) or chunk, iter([[i] for i in range(1000)]))
    assert next(results) == [0]
    time.sleep(0.05)
    assert len(started) <= 2 * usable_cores() + 1
    assert list(results) == [[i] for i in range(1, 1000)]
