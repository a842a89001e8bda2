import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.errors import BenchError
from metrics.restricted_pickle import load_arrays


class Calls:
    """Pickles as a call of whatever it is given."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def written(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_in_plain_containers(tmp_path: Path, protocol: int) -> None:
    rng = np.random.default_rng(0)
    value = {
        "a": rng.random((2, 3, 4)).astype(np.float32),
        "b": [np.asfortranarray(rng.random((3, 2))), (np.arange(5, dtype=">i4"), None)],
        "c": {
            "text": "x",
            "number": 1.5,
            "yes": True,
            "raw": b"\0\1",
            "empty": np.zeros((0, 3)),
            "flag": np.array([True]),
        },
    }
    found = load_arrays(written(tmp_path / "a.pkl", value, protocol))
    np.testing.assert_equal(found, value)
    assert found["a"].dtype == np.float32 and found["b"][1][0].dtype == np.dtype(">i4")


def marker(path: Path) -> str:
    return f"touch {path}"


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_hostile_calls_are_refused_by_name_and_never_run(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    hostile = {
        "posix.system": Calls(os.system, marker(trace)),
        "eval": Calls(eval, f"open({str(trace)!r}, 'w')"),
        "exec": {"deep": [Calls(exec, f"open({str(trace)!r}, 'w')")]},
        "getattr": Calls(getattr, "text", "format"),
    }
    for name, value in hostile.items():
        with pytest.raises(BenchError, match=rf"is refused: it asks for .*{name}"):
            load_arrays(written(tmp_path / "a.pkl", value, protocol))
    assert not trace.exists()


def test_nested_reductions_are_refused(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    inside = Calls(np._core.multiarray._reconstruct, Calls(os.system, marker(trace)), (0,), b"b")  # type: ignore[attr-defined]
    with pytest.raises(BenchError, match=r"it asks for .*system"):
        load_arrays(written(tmp_path / "a.pkl", inside))
    # The allowed name, called with what is not an array.
    other = Calls(np._core.multiarray._reconstruct, np.dtype, (0,), b"b")  # type: ignore[attr-defined]
    with pytest.raises(BenchError, match="it holds _reconstruct of"):
        load_arrays(written(tmp_path / "a.pkl", other))
    assert not trace.exists()


@pytest.mark.parametrize(
    "value",
    [
        OrderedDict(a=1),
        np.float64(1.5),
        Path("x"),
        {1, 2},
        Calls(np.ndarray, (10**12,)),
        np.array([object()], dtype=object),
        np.array(["text"]),
        np.zeros(2, dtype=[("a", "f4")]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.dtype("f4"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_but_arrays_of_numbers_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(BenchError, match=r"is refused: it (asks for|holds)"):
        load_arrays(written(tmp_path / "a.pkl", value))


def test_outside_objects_are_refused(tmp_path: Path) -> None:
    class Outside(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return "id-7" if obj == "outside" else None

    for protocol in (0, 4):
        buffer = io.BytesIO()
        Outside(buffer, protocol).dump(["outside"])
        with pytest.raises(BenchError, match="it asks for the outside object 'id-7'"):
            load_arrays(written(tmp_path / "a.pkl", buffer.getvalue()))


ARRAY = b"cnumpy._core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    "code",
    [
        ARRAY + b"}S'__call__'\nN\x73b.",  # sets an attribute of the allowed function
        b"cnumpy\nndarray\n}b.",  # and of the allowed class
        b"cnumpy\ndtype\n.",  # leaves the class as a value
        ARRAY + b"(cnumpy\nndarray\n(K\x00tC\x01btR.",  # an array without its state
        ARRAY + b"(cnumpy\nndarray\n(K\x00tC\x01btR(K\x01(K\x09tNI00\nC\x01xtb.",  # no dtype
        b"(S'touch trace'\nios\nsystem\n.",  # the old way to call
    ],
)
def test_hand_written_opcodes(tmp_path: Path, code: bytes) -> None:
    with pytest.raises(BenchError):
        load_arrays(written(tmp_path / "a.pkl", code))


def test_a_state_that_lies_about_its_shape(tmp_path: Path) -> None:
    code = pickle.dumps(np.arange(4, dtype=np.float32), protocol=3).replace(b"K\x04\x85", b"K\x05\x85")
    with pytest.raises(BenchError, match="is not a readable pickle of numpy arrays"):
        load_arrays(written(tmp_path / "a.pkl", code))


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    whole = pickle.dumps({"a": np.arange(100)})
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        with pytest.raises(BenchError, match="is not a readable pickle of numpy arrays"):
            load_arrays(written(tmp_path / "a.pkl", content))
    with pytest.raises(BenchError, match="cannot be read: No such file"):
        load_arrays(tmp_path / "nowhere")
