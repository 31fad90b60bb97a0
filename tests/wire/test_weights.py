"""Weight files: those of safetensors and NumPy are read; everything that is not a network is refused."""

from __future__ import annotations

import io
import itertools
import json
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from app.core.errors import LimitExceeded
from app.core.propagation.given import GivenWeights
from app.wire import weights
from app.wire.errors import Unsuitable

MOST = 10_000
RANDOM = np.random.default_rng(0)


def matrix(rows: int, columns: int) -> np.ndarray:
    return RANDOM.normal(size=(rows, columns))


def vector(rows: int) -> np.ndarray:
    return RANDOM.normal(size=rows)


def load(body: bytes, most: int = MOST) -> GivenWeights:
    return weights.loads(memoryview(body), most)


def npz(*arrays: np.ndarray, **named: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, *arrays, **named)  # type: ignore[arg-type]
    return stream.getvalue()


def safetensors(header: Mapping[str, Any] | bytes, data: bytes = b"") -> bytes:
    """A file with an arbitrary header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(shape: Sequence[Any], begin: int, end: int, dtype: str = "F64") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def npy(array: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def directory(body: bytes, place: int, value: bytes) -> bytes:
    """``body`` with some bytes of its first member's directory entry replaced."""
    start = body.index(b"PK\x01\x02") + place
    return body[:start] + value + body[start + len(value) :]


def assert_layers(read: GivenWeights, layers: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> None:
    assert len(read.matrices) == len(read.biases) == len(layers)
    for number, (expected, bias) in enumerate(layers):
        assert read.matrices[number].dtype == np.float64
        np.testing.assert_array_equal(read.matrices[number], expected.astype(np.float64))
        if bias is None:
            assert read.biases[number] is None
        else:
            np.testing.assert_array_equal(read.biases[number], bias.astype(np.float64))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_safetensors(dtype: Any) -> None:
    first, bias, second = (each.astype(dtype) for each in (matrix(3, 2), vector(3), matrix(4, 3)))
    body = save({"0.weight": first, "0.bias": bias, "1.weight": second}, {"by": "us"})
    assert_layers(load(body), [(first, bias), (second, None)])


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", ">f4", "<f2"])
@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_archives(dtype: str, write: Any, order: Any) -> None:
    first, bias = matrix(3, 2).astype(dtype, order=order), vector(3).astype(dtype)
    stream = io.BytesIO()
    write(stream, **{"0.weight": first, "0.bias": bias})
    assert_layers(load(stream.getvalue()), [(first, bias)])


def test_float64_is_a_copy_from_any_address() -> None:
    """The data of a safetensors file may be unaligned; the arrays must not keep the body alive."""
    for padding in range(8):
        text = json.dumps({"w": tensor([2, 1], 0, 16)}).encode() + b" " * padding
        read = load(safetensors(text, np.array([1.5, -2.5]).tobytes())).matrices[0]
        assert read.flags.aligned
        assert read.base is None or read.base.base is None
        np.testing.assert_array_equal(read, [[1.5], [-2.5]])


DEEP = {f"{2 * number}.{part}": number for number in range(12) for part in ("bias", "weight")}


def test_pytorch_s_sequential_in_the_library_s_own_order() -> None:
    """safetensors sorts names as text, so that layer 10 precedes layer 2."""
    tensors = {name: np.full((1, 1) if "weight" in name else (1,), float(k)) for name, k in DEEP.items()}
    body = save(tensors)
    assert body.index(b'"10.weight"') < body.index(b'"2.weight"')
    read = load(body)
    assert [float(each[0, 0]) for each in read.matrices] == list(range(12))
    assert [None if each is None else float(each[0]) for each in read.biases] == list(range(12))


M1, M2, M3 = (np.full((2, 2), float(number)) for number in (1, 2, 3))
B1, B2 = (np.full(2, float(number)) for number in (1, 2))


@pytest.mark.parametrize(
    ("tensors", "layers"),
    [
        ({"W": M1}, [(M1, None)]),
        ({"W": M1, "b": B1}, [(M1, B1)]),
        ({"b1": B1, "W2": M2, "W1": M1}, [(M1, B1), (M2, None)]),
        ({"fc2.weight": M2, "fc1.weight": M1, "fc1.bias": B1}, [(M1, B1), (M2, None)]),
        ({"fc2_w": M2, "fc2_b": B2, "fc1_w": M1, "fc1_b": B1}, [(M1, B1), (M2, B2)]),
        ({"Dense_1/kernel": M2, "Dense_0/kernel": M1, "Dense_0/bias": B1}, [(M1, B1), (M2, None)]),
        ({"weight10": M2, "weight9": M1, "bias10": B2}, [(M1, None), (M2, B2)]),
        ({"m.0.1.w": M2, "m.0.0.w": M1, "m.1.0.w": M3}, [(M1, None), (M2, None), (M3, None)]),
        (
            {"arr_3": B2, "arr_0": M1, "arr_10": M3, "arr_1": B1, "arr_2": M2},
            [(M1, B1), (M2, B2), (M3, None)],
        ),
        ({"../../etc/1": M1, "../../etc/2": M2}, [(M1, None), (M2, None)]),
        ({"C:\\model\\2": M2, "C:\\model\\1": M1}, [(M1, None), (M2, None)]),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, dict) else "",
)
def test_numbers_in_names_are_the_order_and_names_pair_biases(tensors: Any, layers: Any) -> None:
    """In both formats, whatever the order in the file."""
    for names in itertools.islice(itertools.permutations(tensors), 24):
        shuffled = {name: tensors[name] for name in names}
        assert_layers(load(npz(**shuffled)), layers)
        assert_layers(load(save(shuffled)), layers)


def test_other_names_take_the_order_of_an_archive_and_are_refused_in_safetensors() -> None:
    tensors = {"encoder.weight": M1, "decoder.weight": M2, "decoder.bias": B2, "head.weight": M3}
    assert_layers(load(npz(**tensors)), [(M1, None), (M2, B2), (M3, None)])
    with pytest.raises(Unsuitable, match=r"which layer comes first, and safetensors keeps no order"):
        load(save(tensors))


def test_get_weights_of_keras_transposed() -> None:
    """``np.savez(file, *[each.T for each in model.get_weights()])``: a vector is its own transpose."""
    kernels = [matrix(5, 3), vector(3), matrix(3, 2), vector(2)]
    read = load(npz(*[each.T for each in kernels]))
    assert_layers(read, [(kernels[0].T, kernels[1]), (kernels[2].T, kernels[3])])


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"0.weight": M1, "1.weight": B1, "2.weight": M2}, "learned slopes are left out"),
        ({"0.weight": M1, "0.bias": B1, "1.bias": B1}, "no matrix's bias"),
        ({"bias": B1}, "no matrix's bias"),
        ({"arr_0": B1, "arr_1": M1}, "follows no matrix"),
        ({"arr_0": M1, "arr_1": B1, "arr_2": B1}, "follows no matrix"),
        ({"fc1": M1, "fc01": M2}, "are equivalent"),
        ({"0.weight": M1, "0_w": M2}, "are equivalent"),
        ({"0.weight": np.zeros((2, 3, 4, 5))}, "4 axes"),
        ({"0.weight": M1, "num_batches_tracked": np.zeros(())}, "0 axes"),
        ({"0.weight": M1.astype(np.int8)}, "float64, float32, float16"),
        ({"0.weight": M1.astype(np.int64)}, "float64, float32, float16"),
        ({"0.weight": M1 > 0}, "float64, float32, float16"),
        ({"0.weight": (M1 * 1j).astype(np.complex64)}, "float64, float32, float16"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, dict) else "",
)
def test_what_is_no_plain_sequence_of_layers(tensors: Any, said: str) -> None:
    with pytest.raises(Unsuitable, match=said):
        load(save(tensors))
    with pytest.raises(Unsuitable, match=said):
        load(npz(**tensors))


HUGE = 10**12
BROKEN_SAFETENSORS = {
    "nothing": b"",
    "no header": b"\x00" * 8,
    "text": b"0.1 0.2 0.3\n0.4 0.5 0.6\n",
    "JSON": b"[[0.1, 0.2], [0.3, 0.4]]" + b" " * 40,
    "length over the body": (2**40).to_bytes(8, "little") + b"{}",
    "length 2^64 - 1": b"\xff" * 8 + b"{}",
    "header of no JSON": safetensors(b"{" * 50),
    "header of 100,000 brackets": safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "not UTF-8": safetensors(b'{"\xff":1}'),
    "a tensor that is a number": safetensors({"w": 1}),
    "no offsets": safetensors({"w": {"dtype": "F64", "shape": [1, 1]}}, bytes(8)),
    "three offsets": safetensors({"w": {**tensor([1, 1], 0, 8), "data_offsets": [0, 8, 8]}}, bytes(8)),
    "overlap": safetensors({"w1": tensor([1, 1], 0, 8), "w2": tensor([1, 1], 4, 12)}, bytes(12)),
    "the same bytes": safetensors({"w1": tensor([1, 1], 0, 8), "w2": tensor([1, 1], 0, 8)}, bytes(8)),
    "gap": safetensors({"w1": tensor([1, 1], 0, 8), "w2": tensor([1, 1], 16, 24)}, bytes(24)),
    "begins late": safetensors({"w": tensor([1, 1], 8, 16)}, bytes(16)),
    "beyond the file": safetensors({"w": tensor([HUGE, 1], 0, 8 * HUGE)}, bytes(8)),
    "bytes left over": safetensors({"w": tensor([1, 1], 0, 8)}, bytes(9)),
    "end before begin": safetensors({"w": tensor([1, 1], 8, 0)}, bytes(8)),
    "negative offsets": safetensors({"w": tensor([1, 1], -8, 0)}, bytes(8)),
    "negative shape": safetensors({"w": tensor([-1, -1], 0, 8)}, bytes(8)),
    "shape of halves": safetensors({"w": tensor([0.5, 2], 0, 8)}, bytes(8)),
    "shape that overflows": safetensors({"w": tensor([2**32, 2**32], 0, 0)}),
    "shape over 64 bits": safetensors({"w": tensor([2**70, 1], 0, 8)}, bytes(8)),
    "shape that disagrees": safetensors({"w": tensor([3, 1], 0, 8)}, bytes(8)),
    "shape that is text": safetensors({"w": tensor("11", 0, 8)}, bytes(8)),
    "unknown dtype": safetensors({"w": tensor([1, 1], 0, 8, "F65")}, bytes(8)),
}  # fmt: skip
OURS_ALONE = {
    "no tensors": safetensors({}),
    "no tensors but metadata": safetensors({"__metadata__": {"by": "us"}}),
    "the same name twice": safetensors(
        b'{"w":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]},'
        b'"w":{"dtype":"F64","shape":[2,1],"data_offsets":[0,16]}}',
        bytes(16),
    ),
    "100,000 tensors": safetensors({f"{k}.weight": tensor([0, 0], 0, 0) for k in range(100_000)}),
    "25,000 tensors": safetensors({f"{k}.weight": tensor([0, 0], 0, 0) for k in range(25_000)}),
    "a name of a million letters": safetensors({"w" * 1_000_000: tensor([1, 1], 0, 8)}, bytes(8)),
    "a number of a thousand digits": safetensors({"7" * 1_000: tensor([1, 1], 0, 8)}, bytes(8)),
    "float8": safetensors({"w": tensor([1, 1], 0, 1, "F8_E4M3")}, bytes(1)),
    "a million axes": safetensors({"w": tensor([1] * 1_000_000, 0, 8)}, bytes(8)),
    "axes that multiply to a million digits": safetensors({"w": tensor([2**62] * 50_000, 0, 8)}, bytes(8)),
    "shape of booleans": safetensors({"w": tensor([True, True], 0, 8)}, bytes(8)),
}


@pytest.mark.parametrize("name", [*BROKEN_SAFETENSORS, *OURS_ALONE])
def test_safetensors_that_are_refused(name: str) -> None:
    body = {**BROKEN_SAFETENSORS, **OURS_ALONE}[name]
    with pytest.raises(Unsuitable) as caught:
        load(body)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", BROKEN_SAFETENSORS)
def test_the_library_refuses_the_same(name: str) -> None:
    with pytest.raises(SafetensorError):
        deserialize(BROKEN_SAFETENSORS[name])  # type: ignore[no-untyped-call]


GOOD = npy(M1)
HEADER = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"


def header_of(shape: bytes, size: int = 118) -> bytes:
    padded = (HEADER % shape).ljust(size - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


def encrypted(body: bytes) -> bytes:
    return directory(body, 8, b"\x01\x00")


def many(count: int) -> bytes:
    return zipped({f"{number}.npy": b"" for number in range(count)})


BROKEN_ARCHIVES = {
    "cut off": zipped({"w.npy": GOOD})[:-1],
    "first record alone": zipped({"w.npy": GOOD})[:40],
    "a comment": zipped({"w.npy": GOOD})[:-2] + b"\x04\x00helo",
    "ZIP64's last record": many(1)[:-22] + b"PK\x06\x07" + bytes(16) + many(1)[-22:],
    "directory of 4 GiB": zipped({"w.npy": GOOD})[:-10] + b"\xff\xff\xff\xff" + zipped({"w.npy": GOOD})[-6:],
    "directory elsewhere": zipped({"w.npy": GOOD})[:-6] + b"\x00\x00\x00\x7f\x00\x00",
    "no .npy": zipped({"w.txt": b"1 2"}),
    "a folder": zipped({"model/": b"", "model/w.npy": GOOD}),
    "an empty member": zipped({"w.npy": b""}),
    "a pickle": zipped({"w.npy": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00."}),
    "objects": zipped({"w.npy": npy(np.array([[None]]), allow_pickle=True)}),
    "structured": zipped({"w.npy": npy(np.zeros((2, 2), [("a", "f8")]))}),
    "longdouble": zipped({"w.npy": npy(np.zeros((2, 2), np.longdouble))}),
    "text": zipped({"w.npy": npy(np.array([["1"]]))}),
    "bfloat16, which NumPy writes as void": zipped({"w.npy": npy(np.zeros((2, 2), ml_dtypes.bfloat16))}),
    "bytes left over": zipped({"w.npy": GOOD + b"\x00"}),
    "bytes missing": zipped({"w.npy": GOOD[:-1]}),
    "negative shape": zipped({"w.npy": header_of(b"-2, -2") + bytes(32)}),
    "shape of booleans": zipped({"w.npy": header_of(b"True, True") + bytes(8)}),
    "shape that overflows": zipped({"w.npy": header_of(b"4294967296, 4294967296")}),
    "a header of 60,000 bytes": zipped({"w.npy": header_of(b"2, 2", 60_000) + bytes(32)}),
    "a header that is code": zipped({"w.npy": header_of(b"__import__('os').getpid(), 1") + bytes(8)}),
    "encrypted": encrypted(zipped({"w.npy": GOOD})),
    "strongly encrypted": directory(zipped({"w.npy": GOOD}), 8, b"\x40\x00"),
    "bzip2": zipped({"w.npy": GOOD}, zipfile.ZIP_BZIP2),
    "LZMA": zipped({"w.npy": GOOD}, zipfile.ZIP_LZMA),
    "a method that does not exist": directory(zipped({"w.npy": GOOD}), 10, b"\x63\x00"),
    "a later version of ZIP": directory(zipped({"w.npy": GOOD}), 6, b"\xff\x00"),
    "another name in its place": zipped({"w.npy": GOOD}).replace(b"w.npy", b"v.npy", 1),
    "wrong checksum": zipped({"w.npy": GOOD}).replace(M1.tobytes(), M2.tobytes()),
    "25,000 members": many(25_000),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_ARCHIVES)
def test_archives_that_are_refused(name: str) -> None:
    with pytest.raises(Unsuitable) as caught:
        load(BROKEN_ARCHIVES[name])
    assert len(str(caught.value)) < 300


def test_two_members_of_one_name() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("w.npy", GOOD)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("w.npy", GOOD)
    with pytest.raises(Unsuitable, match="same name"):
        load(stream.getvalue())


def test_overlapping_members() -> None:
    """The second entry of the directory points at the first member, as in zip bombs."""
    body = zipped({"1.npy": GOOD, "2.npy": GOOD})
    second = body.rindex(b"PK\x01\x02") + 42
    with pytest.raises(Unsuitable, match="overlap"):
        load(body[:second] + bytes(4) + body[second + 4 :])


def deflated(member: bytes, declared: int) -> bytes:
    """An archive of one member whose directory entry declares this size."""
    body = zipped({"w.npy": member}, zipfile.ZIP_DEFLATED)
    return directory(body, 24, declared.to_bytes(4, "little"))


def bomb() -> bytes:
    return header_of(b"13107200, 2") + bytes(200 * 2**20)


SMALL = header_of(b"2, 2") + bytes(32)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: deflated(bomb(), declared=len(bomb())), LimitExceeded),
        (lambda: deflated(bomb(), declared=160), Unsuitable),
        (lambda: deflated(SMALL + bytes(2**26), declared=len(SMALL)), Unsuitable),
        (lambda: deflated(header_of(b"9000, 9000"), declared=128 + 8 * 9000**2), LimitExceeded),
        (lambda: deflated(header_of(b"90, 90"), declared=128 + 8 * 90**2), Unsuitable),
        (lambda: safetensors({"w": tensor([HUGE, HUGE], 0, 8 * HUGE**2)}, bytes(8)), Unsuitable),
    ],
    ids=["declared", "inflated", "longer", "over the limit and empty", "empty", "safetensors"],
)
def test_bombs_are_refused_in_little_memory(make: Callable[[], bytes], error: type[Exception]) -> None:
    body = make()
    tracemalloc.start()
    try:
        with pytest.raises(error):
            load(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(body) + 2**20


def test_the_limit_counts_numbers_not_bytes() -> None:
    layers = {f"{number}.weight": np.zeros((10, 10), np.float16) for number in range(4)}
    for body in (save(layers), npz(**layers)):
        assert len(load(body, 400).matrices) == 4
        with pytest.raises(LimitExceeded, match="400 numbers; the limit is 399"):
            load(body, 399)


SEEDS = [
    save({"0.weight": matrix(3, 2), "0.bias": vector(3), "2.weight": matrix(2, 3).astype(np.float32)}),
    npz(matrix(3, 2), vector(3)),
    zipped({"W1.npy": npy(matrix(3, 2)), "b1.npy": npy(vector(3))}, zipfile.ZIP_DEFLATED),
]
EDITS = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6)


@given(st.sampled_from(SEEDS), EDITS, st.integers(0, 40))
@settings(max_examples=400, deadline=None)
def test_damaged_files_are_read_or_refused(body: bytes, edits: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(body[: len(body) - cut] if cut < 20 else body)
    for place, value in edits:
        damaged[place % len(damaged)] = value
    try:
        read = load(bytes(damaged))
    except (Unsuitable, LimitExceeded):
        return
    assert sum(each.size for each in read.matrices) <= MOST


def test_the_checksum_of_inflated_data_is_checked() -> None:
    body = zipped({"w.npy": GOOD}, zipfile.ZIP_DEFLATED)
    wrong = (zlib.crc32(GOOD) ^ 1).to_bytes(4, "little")
    with pytest.raises(Unsuitable, match="broken"):
        load(directory(body, 16, wrong))
