"""The restricted pickle reader: reads what CIFAR-10's files hold, and refuses everything else by name."""

import io
import pickle
import pickletools

import numpy as np
import pytest
from python2_pickle import DTYPE, NDARRAY, RECONSTRUCT, Call, Global, array, dtype, dumps

from tenfold.datasets.unpickle import load_dict
from tenfold.errors import DataError


def test_reads_containers_and_arrays():
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    content = load_dict(dumps({b"data": values, b"labels": [1, 2, -3], b"names": (b"x", None, True)}), "batch")
    assert content[b"labels"] == [1, 2, -3]
    assert content[b"names"] == (b"x", None, True)
    assert content[b"data"].dtype == np.uint8
    np.testing.assert_array_equal(content[b"data"], values)


def test_the_test_pickles_are_what_numpy_reads_itself():
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    pickletools.dis(dumps({b"data": values}), out=io.StringIO())
    renamed = dumps({b"data": values}).replace(b"cnumpy.core.", b"cnumpy._core.")
    np.testing.assert_array_equal(pickle.loads(renamed, encoding="bytes")[b"data"], values)


def test_reads_byte_order():
    values = np.array([1, 256, 70000], ">i4")
    content = load_dict(dumps({b"x": array(values, dtype(b"i4", b">"))}), "batch")
    assert content[b"x"].tolist() == [1, 256, 70000]


@pytest.mark.parametrize(
    "name",
    [
        Global("os", "system"),
        Global("builtins", "eval"),
        Global("__builtin__", "eval"),
        Global("numpy", "load"),
        Global("numpy.core.multiarray", "scalar"),
        Global("numpy.core", "multiarray._reconstruct"),
        Global("tenfold.datasets.unpickle", "Array"),
    ],
)
def test_refuses_every_other_global_by_name(name):
    with pytest.raises(DataError, match=rf"data_batch_1 is not a safe pickle: it asks for {name.module}\.{name.name}"):
        load_dict(dumps({b"data": Call(name, (b"echo broken in",))}), "data_batch_1")


@pytest.mark.parametrize("protocol", range(6))
def test_refuses_a_reduce_in_every_protocol(protocol):
    class Evil:
        def __reduce__(self):
            return (print, ("broken in",))

    with pytest.raises(DataError, match="print, which is refused"):
        load_dict(pickle.dumps({"data": Evil()}, protocol), "batch")


@pytest.mark.parametrize("code", [b"O", b"O8", b"V10", b"U3", b"u1,O", b"M8"])
def test_refuses_object_and_other_dtypes(code):
    with pytest.raises(DataError, match=r"dtype .* refused"):
        load_dict(dumps({b"data": array(np.zeros(8, np.uint8), dtype(code))}), "batch")


def test_refuses_an_array_whose_content_is_a_list():
    state = (1, (1,), dtype(), False, [b"not bytes"])
    with pytest.raises(DataError, match="other than plain numbers"):
        load_dict(dumps({b"data": Call(RECONSTRUCT, (NDARRAY, (0,), b"b"), state)}), "batch")


def test_refuses_an_array_whose_shape_its_bytes_do_not_fill():
    state = (1, (10**9,), dtype(), False, b"few")
    with pytest.raises(DataError, match="not a readable pickle"):
        load_dict(dumps({b"data": Call(RECONSTRUCT, (NDARRAY, (0,), b"b"), state)}), "batch")


def test_a_pickle_cannot_change_the_reader():
    with pytest.raises(DataError, match="not a readable pickle"):
        load_dict(b"\x80\x02" + b"cnumpy\ndtype\n" + b"}(T\x01\x00\x00\x00xNub.", "batch")
    assert load_dict(dumps({b"data": np.zeros(1, np.uint8)}), "batch")[b"data"].tolist() == [0]


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x02", b"not a pickle", dumps({b"a": 1})[:-3], b"\x80\x02r\xff\xff\xff\xff."]
)
def test_refuses_damaged_pickles(data):
    with pytest.raises(DataError, match="batch is not a readable pickle"):
        load_dict(data, "batch")


def test_refuses_anything_but_a_dictionary():
    with pytest.raises(DataError, match="holds a list"):
        load_dict(dumps([1, 2]), "batch")
    with pytest.raises(DataError, match="holds a Dtype"):
        load_dict(dumps(Call(DTYPE, (b"u1", 0, 1))), "batch")
