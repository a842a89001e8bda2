import copy
import json
import struct
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from datamodules.errors import BenchError
from experiments.export import export, load_export, load_generator, main, read_metadata
from experiments.record import identity
from lightning_modules.callbacks.ema import shadow_of
from lightning_modules.contract import ClipNoise, Method
from lightning_modules.mocogan.module import MoCoGAN
from tests.helpers.reelbench_toys import ToyGAN
from tests.helpers.toy_fit import OtherToy, toy_run


def clips(method: Method) -> Tensor:
    return method.eval().sample({}, ClipNoise(0, torch.arange(4)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    toy_run(folder, 0.0, ToyGAN())
    return folder


@pytest.fixture
def file(run: Path, tmp_path: Path) -> Path:
    export(run, tmp_path / "toy.safetensors")
    return tmp_path / "toy.safetensors"


def test_float32_is_exact_and_complete(tmp_path: Path) -> None:
    method = ToyGAN()
    toy_run(tmp_path, 0.0, method)
    export(tmp_path, tmp_path / "toy.safetensors")
    back, _ = load_export(tmp_path / "toy.safetensors")
    assert isinstance(back, ToyGAN)
    assert not back.training
    mine, theirs = method.generator.state_dict(), back.generator.state_dict()
    assert list(mine) == list(theirs)
    for name, value in mine.items():
        assert value.dtype == theirs[name].dtype, name
        assert torch.equal(value, theirs[name]), name
    assert theirs["net.1.num_batches_tracked"] == mine["net.1.num_batches_tracked"] > 0
    assert torch.equal(clips(method), clips(back))


def test_what_the_file_says(run: Path, file: Path) -> None:
    said = read_metadata(file)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert said["class_path"] == "tests.helpers.reelbench_toys.ToyGAN"
    assert said["init_args"] == {"size": 8, "frames": 4, "z": 8, "lr": 0.001}
    assert (said["step"], said["weights"], said["dtype"], said["kept_float32"]) == (3, "raw", "float32", [])
    assert (said["data"], said["code_version"], said["format"]) == ("toy", "unknown", 1)
    assert said["identity"] == identity(config)
    assert identity(yaml.safe_load(said["config"])) == said["identity"]  # enough to train it again
    assert "/somewhere" not in json.dumps(said)  # folders of this machine do not travel


def test_records_of_the_run_travel(run: Path, tmp_path: Path) -> None:
    (run / "environment.json").write_text('{"code_version": "abc1234"}')
    try:
        assert export(run, tmp_path / "toy.safetensors")["code_version"] == "abc1234"
    finally:
        (run / "environment.json").unlink()


def test_the_same_run_gives_the_same_bytes(run: Path, file: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


def test_a_checkpoint_by_its_path(run: Path, file: Path, tmp_path: Path) -> None:
    export(run / "checkpoints" / "last.ckpt", tmp_path / "b.safetensors")
    assert (tmp_path / "b.safetensors").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("weights", ["auto", "raw", "ema"])
def test_raw_and_averaged_weights(tmp_path: Path, weights: str) -> None:
    method = ToyGAN()
    trainer = toy_run(tmp_path, 0.9, method)
    said = export(tmp_path, tmp_path / "toy.safetensors", weights=weights)
    shadow = shadow_of(trainer)
    assert shadow is not None
    kind, wanted = ("raw", method.generator) if weights == "raw" else ("ema", shadow)
    assert said["weights"] == kind
    back, _ = load_export(tmp_path / "toy.safetensors")
    for name, value in wanted.state_dict().items():
        assert torch.equal(value, back.generator.state_dict()[name]), name
    assert not torch.equal(method.generator.state_dict()["net.0.weight"], shadow.state_dict()["net.0.weight"])


def test_no_average_no_ema(run: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"--weights ema: .*last\.ckpt holds no averaged weights"):
        export(run, tmp_path / "toy.safetensors", weights="ema")


def test_float16_halves_the_file_and_samples_stay_close(run: Path, file: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    said = export(run, half, dtype="float16")
    assert said["kept_float32"] == []
    tensors = load_file(half)
    assert {v.dtype for v in tensors.values()} == {torch.float16, torch.int64}
    header = 8 + struct.unpack("<Q", half.read_bytes()[:8])[0]
    integers = 8
    numbers = sum(v.numel() for v in tensors.values() if v.is_floating_point())
    assert half.stat().st_size - header == 2 * numbers + integers
    full, small = load_export(file)[0], load_export(half)[0]
    assert next(small.generator.parameters()).dtype == torch.float32
    # half precision rounds each weight by at most 2^-11 of itself: at most 16 inputs, values of order 1
    difference = (clips(full) - clips(small)).abs().max()
    assert 0 < difference < 5e-3


def test_float16_keeps_what_it_cannot_hold(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    checkpoint["state_dict"]["generator.net.1.running_var"][0] = 1e6  # above 65504
    checkpoint["state_dict"]["generator.net.1.running_mean"] = torch.full((16,), 3e-6)  # below 2^-14, as a whole
    torch.save(checkpoint, folder / "checkpoints" / "last.ckpt")
    out = tmp_path / "half.safetensors"
    assert main([str(folder), "-o", str(out), "--dtype", "float16"]) == 0
    shown = capsys.readouterr().out
    assert "half.safetensors: raw weights of step 3, float16, 0.0" in shown
    assert "float16 cannot hold net.1.running_mean, net.1.running_var: kept as float32" in shown
    assert read_metadata(out)["kept_float32"] == ["net.1.running_mean", "net.1.running_var"]
    back = load_export(out)[0].generator.state_dict()
    assert back["net.1.running_var"][0] == 1e6
    assert torch.equal(back["net.1.running_mean"], torch.full((16,), 3e-6))


def test_load_into_a_model_that_is_there(file: Path) -> None:
    method = ToyGAN()
    assert load_generator(method, file)["step"] == 3
    assert torch.equal(clips(method), clips(load_export(file)[0]))


def test_weights_of_another_method_are_refused(file: Path) -> None:
    method = OtherToy()
    before = copy.deepcopy(method.state_dict())
    with pytest.raises(BenchError, match=r"holds weights of .*\.ToyGAN, expected .*\.OtherToy"):
        load_generator(method, file)
    with pytest.raises(BenchError, match=r"net\.0\.weight is \(16, 8\), expected \(16, 4\)"):
        load_generator(ToyGAN(z=4), file)
    assert all(torch.equal(v, method.state_dict()[k]) for k, v in before.items())


def test_a_checkpoint_that_does_not_fit_its_config(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").write_bytes((run / "checkpoints" / "last.ckpt").read_bytes())
    text = (run / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("z: 8", "z: 5"))
    with pytest.raises(BenchError, match=r"does not fit .*yaml: net\.0\.weight is \(16, 8\), expected \(16, 5\)"):
        export(folder, tmp_path / "toy.safetensors")
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    state = checkpoint["state_dict"]
    checkpoint["state_dict"] = {k.replace("generator.net.0.", "generator.encoder."): v for k, v in state.items()}
    torch.save(checkpoint, folder / "checkpoints" / "last.ckpt")
    (folder / "config.yaml").write_text(text)
    with pytest.raises(BenchError, match=r"net\.0\.weight is missing; .*; encoder\.weight is unknown"):
        export(folder, tmp_path / "toy.safetensors")
    checkpoint["state_dict"] = state
    state["generator.net.3.bias"][5] = float("nan")
    torch.save(checkpoint, folder / "checkpoints" / "last.ckpt")
    with pytest.raises(BenchError, match=r"generator\.net\.3\.bias holds NaN"):
        export(folder, tmp_path / "toy.safetensors")
    assert not (tmp_path / "toy.safetensors").exists()


def test_missing_and_damaged_checkpoints(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "toy.safetensors"
    with pytest.raises(BenchError, match=r"nowhere.* does not exist"):
        export(tmp_path / "nowhere", out)
    with pytest.raises(BenchError, match=r"last\.ckpt does not exist"):
        export(tmp_path, out)
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / "last.ckpt"
    whole = (run / "checkpoints" / "last.ckpt").read_bytes()
    path.write_bytes(whole)
    with pytest.raises(BenchError, match=r"config\.yaml is missing"):
        export(path, out)
    (tmp_path / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    for broken in (whole[: len(whole) // 2], b"", b"no checkpoint"):
        path.write_bytes(broken)
        with pytest.raises(BenchError, match=r"last\.ckpt is damaged or no checkpoint"):
            export(path, out)
    torch.save({"weights": 1}, path)
    with pytest.raises(BenchError, match="not a checkpoint of a run"):
        export(path, out)
    path.write_bytes(whole)
    for text in ("model: [", "model: {}", "just text"):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(BenchError, match=r"config\.yaml is not the config of a run"):
            export(path, out)
    assert not out.exists()


def test_damaged_and_foreign_files(file: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="does not exist"):
        load_export(tmp_path / "none.safetensors")
    data = bytearray(file.read_bytes())
    data[-100] ^= 4
    (tmp_path / "flipped.safetensors").write_bytes(data)
    with pytest.raises(BenchError, match=r"flipped\.safetensors is damaged"):
        load_export(tmp_path / "flipped.safetensors")
    for broken in (data[:-50], b"", b"text" * 10):
        (tmp_path / "cut.safetensors").write_bytes(broken)
        with pytest.raises(BenchError, match=r"cut\.safetensors is damaged or no safetensors file"):
            read_metadata(tmp_path / "cut.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors", metadata={"by": "someone"})
    with pytest.raises(BenchError, match="was not written by `reelbench export`"):
        load_export(tmp_path / "other.safetensors")


def rewrite(file: Path, **changed: object) -> Path:
    said = read_metadata(file) | changed
    path = file.with_name("changed.safetensors")
    save_file(load_file(file), path, metadata={"reelbench": json.dumps(said)})
    return path


def test_files_that_cannot_be_built(file: Path) -> None:
    with pytest.raises(BenchError, match="has format 2; this version of the bench reads format 1"):
        read_metadata(rewrite(file, format=2))
    with pytest.raises(BenchError, match=r"changed\.safetensors: .*ToyGAN cannot be built: .*zz") as caught:
        load_export(rewrite(file, init_args={"zz": 16}))
    assert str(caught.value).count("\n") <= 1
    with pytest.raises(BenchError, match=r"(?s)ToyGAN cannot be built: .*z.*wide"):
        load_export(rewrite(file, init_args={"z": "wide"}))
    with pytest.raises(BenchError, match=r"changed\.safetensors: .*Popen is not a method"):
        load_export(rewrite(file, class_path="subprocess.Popen"))
    with pytest.raises(BenchError, match=r"cannot import 'nowhere\.Toy'"):
        load_export(rewrite(file, class_path="nowhere.Toy"))


def test_a_folder_that_is_not_there_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot write .*toy\.safetensors: No such file or directory"):
        export(run, tmp_path / "none" / "toy.safetensors")


def test_out_must_be_safetensors(run: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"--out must end in \.safetensors"):
        export(run, tmp_path / "toy.ckpt")


def test_a_real_method(tmp_path: Path) -> None:
    torch.manual_seed(1)
    arguments = {"size": 32, "ngf": 8, "ndf": 8}
    method = MoCoGAN(**arguments)  # type: ignore[arg-type]
    (tmp_path / "checkpoints").mkdir()
    torch.save({"state_dict": method.state_dict(), "global_step": 7}, tmp_path / "checkpoints" / "last.ckpt")
    config = {
        "seed_everything": 0,
        "model": {"class_path": "lightning_modules.mocogan.module.MoCoGAN", "init_args": arguments},
        "data": {"class_path": "tests.helpers.reelbench_toys.ToyData", "init_args": {}},
        "trainer": {"max_steps": 7},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    export(tmp_path, tmp_path / "mocogan.safetensors")
    back, said = load_export(tmp_path / "mocogan.safetensors")
    assert said["step"] == 7
    assert {name for name in load_file(tmp_path / "mocogan.safetensors")} == set(method.generator.state_dict())
    assert torch.equal(clips(method), clips(back))
