import io
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from datamodules.errors import BenchError
from lightning_modules.formats.content import Instance, module_state, tensors
from lightning_modules.formats.reading import read

Save = Callable[[Any, Path], Path]


def legacy(value: Any, path: Path) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=False)
    return path


def zipped(value: Any, path: Path) -> Path:
    torch.save(value, path)
    return path


both = pytest.mark.parametrize("save", [legacy, zipped])


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.width = 3
        self.main = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())


class Calls:
    """Pickles as a call of whatever it is given."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    """A module of a class in `models`, as the official codes name their file, which is gone when it is read."""
    fake: Any = types.ModuleType("models")
    fake.Net = Net
    monkeypatch.setitem(sys.modules, "models", fake)
    monkeypatch.setattr(Net, "__module__", "models")
    torch.manual_seed(0)
    return Net()


@both
def test_state_dicts(tmp_path: Path, save: Save) -> None:
    base = torch.arange(24.0)
    state = OrderedDict(
        a=base.view(4, 6),
        turned=base.view(4, 6).T,
        part=base[6:12],
        half=torch.ones(3, dtype=torch.float16),
        brain=torch.ones(2, dtype=torch.bfloat16),
        count=torch.tensor(7),
        empty=torch.empty(0, 3),
        parameter=nn.Parameter(torch.ones(2)),
    )
    found = read(save(state, tmp_path / "a.pth")).content
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name
    assert found["part"].untyped_storage().data_ptr() == found["a"].untyped_storage().data_ptr()


@both
def test_whole_modules_without_their_class(tmp_path: Path, save: Save, net: Net) -> None:
    path = save(net, tmp_path / "a.pth")
    sys.modules.pop("models")
    module = read(path, {"models.Net"}).content
    assert isinstance(module, Instance) and module.class_name == "models.Net" and module.fields["width"] == 3
    state = module_state(module)
    assert list(state) == list(net.state_dict())
    assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items())
    assert "models" not in sys.modules


@both
def test_other_classes_are_refused_by_name(tmp_path: Path, save: Save, net: Net) -> None:
    with pytest.raises(BenchError, match=r"a\.pth is refused: it asks for models\.Net; only"):
        read(save(net, tmp_path / "a.pth"), {"models.Other"})


@both
def test_calls_are_refused_and_never_run(tmp_path: Path, save: Save) -> None:
    trace = tmp_path / "trace"
    for name, call in {
        "posix.system": Calls(os.system, f"touch {trace}"),
        "builtins.eval|__builtin__.eval": Calls(eval, f"open({str(trace)!r}, 'w')"),
    }.items():
        path = save({"weight": torch.ones(2), "more": [call]}, tmp_path / "a.pth")
        with pytest.raises(BenchError, match=rf"it asks for ({name})"):
            read(path)
        assert not trace.exists()
    torch.load(save(Calls(os.system, f"touch {trace}"), path), weights_only=False)
    assert trace.exists()  # so the files were live


def pickled(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


@pytest.mark.parametrize(
    "attack",
    {
        # Opcode b sets a state, t makes a tuple, R calls.
        "state of a function": named("torch._utils", "_rebuild_tensor_v2") + b"}(X\x04\x00\x00\x00calltub",
        "state of a storage class": named("torch", "FloatStorage") + b"}(X\x05\x00\x00\x00dtypetub",
        "state of a layer class": named("torch.nn.modules.activation", "ReLU")
        + b"}X\x01\x00\x00\x00xX\x01\x00\x00\x00ysb",
        "call of a layer with arguments": named("torch.nn.modules.activation", "ReLU") + b"(K\x01tR",
        "call of a storage class": named("torch", "FloatStorage") + b"(K\x05tR",
        "tensor of a list": named("torch._utils", "_rebuild_tensor_v2") + b"(]K\x00))\x88}tR",
        "parameter of a number": named("torch._utils", "_rebuild_parameter") + b"(K\x05\x88}tR",
        "dotted name": named("torch._utils", "_rebuild_tensor_v2.__globals__"),
        "extension registry": b"\x82\x01",
    }.items(),
    ids=lambda item: item[0],
)
def test_stand_ins_cannot_be_bent(tmp_path: Path, attack: tuple[str, bytes]) -> None:
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", pickled(attack[1]))
    with pytest.raises(BenchError, match=r"a\.pth is (refused|not a readable)"):
        read(path)
    test_state_dicts(tmp_path, zipped)  # what was tried left no trace for the next file


def legacy_parts(path: Path) -> list[bytes]:
    """Magic number, version, system, object, keys, storages."""
    stream, parts = io.BytesIO(path.read_bytes()), []

    class Anything(pickle.Unpickler):
        def persistent_load(self, identifier: Any) -> Any:
            return identifier

        def find_class(self, module: str, name: str) -> Any:
            return lambda *_: None

    for _ in range(5):
        start = stream.tell()
        Anything(stream).load()
        parts.append(stream.getvalue()[start : stream.tell()])
    return [*parts, stream.read()]


@pytest.fixture
def parts(tmp_path: Path) -> list[bytes]:
    return legacy_parts(legacy({"a": torch.arange(6.0)}, tmp_path / "whole.pth"))


def refusal(path: Path, parts: list[bytes]) -> str:
    path.write_bytes(b"".join(parts))
    with pytest.raises(BenchError) as error:
        read(path)
    return str(error.value)


def test_headers_of_legacy_files(tmp_path: Path, parts: list[bytes]) -> None:
    path = tmp_path / "a.pth"
    big = pickle.dumps({"little_endian": False}, 2)
    assert "not of a little-endian machine" in refusal(path, [*parts[:2], big, *parts[3:]])
    assert "protocol version 7, expected 1001" in refusal(path, [parts[0], pickle.dumps(7, 2), *parts[2:]])
    assert "lists other storages" in refusal(path, [*parts[:4], pickle.dumps([], 2), parts[5]])
    assert "goes on behind its last storage" in refusal(path, [*parts, b"\0"])
    assert "should hold 6 numbers" in refusal(path, [*parts[:5], bytes(8) + parts[5][8:]])


def test_every_cut_of_a_legacy_file(tmp_path: Path, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    for length in range(16, len(whole)):
        message = refusal(tmp_path / "cut.pth", [whole[:length]])
        assert message.startswith(str(tmp_path / "cut.pth"))


def test_any_flipped_byte_is_read_or_refused(tmp_path: Path, parts: list[bytes]) -> None:
    whole, path, refused = b"".join(parts), tmp_path / "other.pth", 0
    for place in range(15, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        try:
            read(path)
        except BenchError:
            refused += 1
    assert refused > 100


class Storage:
    """Pickles as the persistent id of a storage."""

    def __init__(self, *identifier: Any) -> None:
        self.identifier = identifier


def object_pickle(identifier: tuple[Any, ...], offset: Any, size: Any, stride: Any) -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return ("storage", torch.FloatStorage, *value.identifier) if isinstance(value, Storage) else None

    stream = io.BytesIO()
    call: Any = torch._utils._rebuild_tensor_v2, (Storage(*identifier), offset, size, stride, False, OrderedDict())

    class Tensor:
        def __reduce__(self) -> Any:
            return call

    Pickler(stream, 2).dump({"a": Tensor()})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (1, (6,), (1,)),
        (0, (2, 4), (3, 1)),
        (-1, (2,), (1,)),
        (0, (-2,), (1,)),
        (5, (2,), (-1,)),
        (0, (2**62,), (0,)),
        (0, (2**40, 2**40), (0, 0)),
        (0, (7,), (0,)),
        (0, (2, 3), (3,)),
        (0, (1.0,), (1,)),
        (0, (1,) * 40, (1,) * 40),
    ],
)
def test_tensors_outside_their_storage(tmp_path: Path, parts: list[bytes], offset: Any, size: Any, stride: Any) -> None:
    keys, numbers = pickle.dumps(["0"], 2), parts[5]

    def built(*view: Any) -> list[bytes]:
        return [*parts[:3], object_pickle(("0", "cpu", 6, None), *view), keys, numbers]

    path = tmp_path / "a.pth"
    path.write_bytes(b"".join(built(2, (2, 2), (2, 1))))
    assert torch.equal(read(path).content["a"], torch.tensor([[2.0, 3.0], [4.0, 5.0]]))
    assert "it holds a tensor of size" in refusal(path, built(offset, size, stride))


def test_storages_larger_than_the_file_take_no_memory(tmp_path: Path, parts: list[bytes]) -> None:
    huge = object_pickle(("0", "cpu", 2**45, None), 0, (2,), (1,))
    message = refusal(tmp_path / "a.pth", [*parts[:3], huge, pickle.dumps(["0"], 2), parts[5]])
    assert "storage 0 of 35184372088832 numbers is larger than the file" in message


def test_views_of_legacy_storages(tmp_path: Path, parts: list[bytes]) -> None:
    keys = pickle.dumps(["0"], 2)
    path = tmp_path / "a.pth"
    view = object_pickle(("0", "cuda:0", 6, ("0view", 2, 3)), 1, (2,), (1,))
    path.write_bytes(b"".join([*parts[:3], view, keys, parts[5]]))
    assert read(path).content["a"].tolist() == [3.0, 4.0]
    outside = object_pickle(("0", "cpu", 6, ("0view", 4, 3)), 0, (2,), (1,))
    assert "does not lie in storage 0" in refusal(path, [*parts[:3], outside, keys, parts[5]])


@pytest.mark.parametrize("memo", ["r\xff\xff\xff\x7f", "p2147483647\n"])
def test_absurd_memo_numbers_take_no_memory(tmp_path: Path, parts: list[bytes], memo: str) -> None:
    bomb = b"\x80\x02}" + memo.encode("latin1") + b"."
    assert "it asks for memo 2147483647 at byte" in refusal(tmp_path / "a.pth", [*parts[:3], bomb, *parts[4:]])


def test_deep_and_repeated_containers(tmp_path: Path) -> None:
    deep: Any = []
    for _ in range(1000):
        deep = [deep]
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", b"\x80\x02" + b"]" * 300 + b"a" * 299 + b".")
    with pytest.raises(BenchError, match="nested more than 200 deep"):
        read(path)
    laughs: Any = [torch.ones(1)]
    for _ in range(100):
        laughs = [laughs, laughs]  # 2**100 tensors, were each followed
    assert len(tensors(read(zipped(laughs, path)).content)) == 1


def rezipped(source: Path, path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(source) as file:
        members = {name: file.read(name) for name in file.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.pop("a/data.pkl"), r"it holds no data\.pkl"),
        (lambda m: m.pop("a/data/0"), "its storage a/data/0 is missing"),
        (lambda m: m.update({"a/data/0": b"123"}), "has 3 bytes, expected 6 numbers"),
        (lambda m: m.update({"a/byteorder": b"big"}), "not of a little-endian machine"),
        (lambda m: m.update({"a/../../evil": b""}), "points outside the archive"),
        (lambda m: m.update({"/evil": b""}), "points outside the archive"),
        (lambda m: m.update({"C:\\evil": b""}), "points outside the archive"),
        (lambda m: m.update({"b/data.pkl": b""}), "in its one folder"),
        (lambda m: m.update({"a/code/x.py": b""}), "a TorchScript program"),
    ],
)
def test_archives_that_are_no_state(tmp_path: Path, change: Callable[[dict[str, bytes]], None], reason: str) -> None:
    source = zipped({"x": torch.arange(6.0)}, tmp_path / "a.pth")
    assert torch.equal(read(rezipped(source, tmp_path / "same.pth", lambda m: None)).content["x"], torch.arange(6.0))
    with pytest.raises(BenchError, match=reason):
        read(rezipped(source, tmp_path / "other.pth", change))


def test_every_cut_of_a_zip_file(tmp_path: Path) -> None:
    whole = zipped({"x": torch.arange(6.0)}, tmp_path / "a.pth").read_bytes()
    for length in range(8, len(whole), 7):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(BenchError, match=r"cut\.pth is cut short or damaged"):
            read(tmp_path / "cut.pth")
