"""Files: what is written is whole or not there, and what is read is what was written."""

import errno
import hashlib
import os
import resource
import threading

import numpy as np
import pytest

from qwenvl_debug.errors import StoreError
from qwenvl_debug.store import files


def everything(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_lies_two_folders_deep_under_the_hash_of_its_content(tmp_path):
    name = files.put(tmp_path, b"cells", "png")
    digest = hashlib.sha256(b"cells").hexdigest()
    assert name == f"{digest}.png"
    assert everything(tmp_path) == [tmp_path / digest[:2] / digest[2:4] / name]
    assert files.get(tmp_path, name, verify=True) == b"cells"
    assert list(files.names(tmp_path)) == [name]


def test_equal_content_is_written_once_and_a_stump_is_replaced(tmp_path):
    name = files.put(tmp_path, b"cells", "png")
    path = files.path_of(tmp_path, name)
    before = path.stat().st_mtime_ns
    assert files.put(tmp_path, b"cells", "png") == name
    assert path.stat().st_mtime_ns == before
    path.write_bytes(b"ce")
    files.put(tmp_path, b"cells", "png")
    assert path.read_bytes() == b"cells"


def test_a_changed_or_missing_file_is_told(tmp_path):
    name = files.put(tmp_path, b"cells", "png")
    files.path_of(tmp_path, name).write_bytes(b"sells")
    assert files.unchanged(tmp_path, name) is False
    with pytest.raises(StoreError, match="was changed"):
        files.get(tmp_path, name, verify=True)
    files.remove(tmp_path, name)
    assert files.unchanged(tmp_path, name) is None
    with pytest.raises(StoreError, match="is missing"):
        files.get(tmp_path, name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "a" * 64, "A" * 64 + ".png", "a" * 64 + ".png/.."])
def test_other_names_are_refused(tmp_path, name):
    with pytest.raises(StoreError, match="not the name of a stored file"):
        files.get(tmp_path, name)


def test_a_limit_met_half_way_leaves_nothing_behind(tmp_path):
    """The system's own limit on a file's size stops the writing after the first megabyte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(StoreError, match="is full, so nothing was saved"):
            files.put(tmp_path, bytes(3 << 20), "safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, step):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(StoreError, match="free some space and try again"):
        files.put(tmp_path, b"cells", "png")
    assert everything(tmp_path) == []


def test_readers_never_see_half_a_file(tmp_path):
    data = np.random.default_rng(0).bytes(1 << 18)
    name, seen, stop = files.name_of(data, "png"), set(), threading.Event()

    def read():
        while not stop.is_set():
            seen.add(files.unchanged(tmp_path, name))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        files.put(tmp_path, data, "png")
        files.remove(tmp_path, name)
    stop.set()
    reader.join()
    assert seen <= {None, True}


def test_only_old_unfinished_files_count_as_abandoned(tmp_path):
    name = files.put(tmp_path, b"cells", "png")
    half = files.path_of(tmp_path, name).parent / f"{files.UNFINISHED}x"
    half.write_bytes(b"ce")
    assert files.abandoned(tmp_path) == []
    os.utime(half, (0, 0))
    assert files.abandoned(tmp_path) == [half]
    assert list(files.names(tmp_path)) == [name]


def test_arrays_come_back_exactly_and_other_bytes_are_refused():
    arrays = {"mass": np.array([[0.1, np.nan], [np.inf, -0.0]]), "bits": np.arange(6, dtype=np.uint8).reshape(2, 3).T}
    data = files.pack_arrays(arrays)
    assert data == files.pack_arrays(dict(reversed(arrays.items())))
    back = files.unpack_arrays(data)
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert back[name].tobytes() == np.ascontiguousarray(array).tobytes()
    for other in (b"", b"\x80\x04K\x01.", data[:-1]):
        with pytest.raises(StoreError, match="damaged"):
            files.unpack_arrays(other)
