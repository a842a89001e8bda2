import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from datamodules.errors import BenchError
from experiments.convert import convert, main, methods
from experiments.export import load_export, read_metadata
from experiments.record import identity
from lightning_modules.formats.reading import read
from lightning_modules.vgan import convert as of_vgan
from lightning_modules.vgan.module import VGAN
from tests.helpers.official_files import drawn, mocogan_file, vgan_files, vgan_tree
from tests.helpers.runs import ROOT, run
from tests.helpers.t7_files import Lua, write_t7


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return list(found) == list(wanted) and all(torch.equal(found[k], v) for k, v in wanted.items())


@pytest.fixture
def mocogan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    mocogan_file(tmp_path / "generator_00100.pytorch", monkeypatch)
    return tmp_path / "generator_00100.pytorch"


@pytest.mark.parametrize("legacy", [False, True])
def test_mocogan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool) -> None:
    path, out = tmp_path / "generator_00100.pytorch", tmp_path / "out.safetensors"
    network = mocogan_file(path, monkeypatch, legacy)
    assert main(["mocogan", str(path), "-o", str(out)]) == 0
    method, said = load_export(out)
    assert same(method.generator.state_dict(), network.state_dict())
    given = {"size": 64, "frames": 16, "channels": 3, "dim_content": 5, "dim_category": 2, "dim_motion": 3, "ngf": 2}
    assert said["init_args"].items() >= given.items()
    assert (said["step"], said["weights"], said["code_version"], said["data"]) == (
        100,
        "raw",
        "official",
        "shape_motion",
    )
    assert list(said["official"]) == [path.name]
    assert identity(yaml.safe_load(said["config"])) == said["identity"]


def test_vgan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator, discriminator = vgan_files(tmp_path)
    paths, out = [tmp_path / "iter20_net.t7", tmp_path / "iter20_netD.t7"], tmp_path / "out.safetensors"
    assert main(["vgan", *map(str, paths), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "inferred: size 64, frames 32, channels 3, dim_z 7, ngf 2, lambda_mask 0.25, ndf 3" in said
    assert "generator: 8 counters num_batches_tracked are not in the file: set to 0" in said
    assert "left out: iter20_net.t7: gradWeight, gradBias" in said
    count = sum(value.numel() for value in discriminator.state_dict().values())
    assert f"discriminator of {count:,} numbers; fits, and is not kept" in said
    method, metadata = load_export(out)
    assert same(method.generator.state_dict(), generator.state_dict()) and metadata["step"] == 20
    conversion = of_vgan.convert([read(paths[1], of_vgan.CLASSES)])
    conversion.fit(VGAN(**conversion.init_args))
    assert same(conversion.states["discriminator"], discriminator.state_dict())


def test_sample_takes_what_is_written(tmp_path: Path, mocogan: Path) -> None:
    out = tmp_path / "out.safetensors"
    convert("mocogan", [mocogan], out)
    words: list[str | Path] = ["sample", out, "--n", "2", "--out", tmp_path / "clips", "--runs", tmp_path / "runs"]
    done = run(*words, REELBENCH_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "clips").glob("*.mp4"))) == 2


def test_two_files_never_share_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identities = set()
    for ngf, name in ((2, "a"), (2, "b"), (3, "c")):
        mocogan_file(tmp_path / f"{name}_00100.pytorch", monkeypatch, legacy=name == "b", ngf=ngf)
        identities.add(
            convert("mocogan", [tmp_path / f"{name}_00100.pytorch"], tmp_path / f"{name}.safetensors")["identity"]
        )
    assert len(identities) == 3


def test_the_same_file_gives_the_same_bytes(tmp_path: Path, mocogan: Path) -> None:
    for name in "ab":
        convert("mocogan", [mocogan], tmp_path / f"{name}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_nothing_is_overwritten_without_force(tmp_path: Path, mocogan: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_text("mine")
    words = ["mocogan", str(mocogan), "-o", str(out)]
    with pytest.raises(BenchError, match=r"out\.safetensors exists; --force replaces it"):
        main(words)
    assert out.read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert read_metadata(out)["step"] == 100


def test_a_refused_file_leaves_the_old_export(tmp_path: Path, mocogan: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_text("mine")
    mocogan.write_bytes(mocogan.read_bytes()[:-200])
    with pytest.raises(BenchError, match="cut short or damaged"):
        main(["mocogan", str(mocogan), "-o", str(out), "--force"])
    assert out.read_text() == "mine" and {p.name for p in tmp_path.iterdir()} == {out.name, mocogan.name}


def test_print_lists_entries_and_writes_nothing(
    tmp_path: Path, mocogan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mocogan", str(mocogan), "--print"]) == 0
    said = capsys.readouterr().out
    assert f"{mocogan}: torch zip, " in said
    assert "  main.0.weight  float32 (10, 16, 4, 4)\n" in said
    assert [path.name for path in tmp_path.iterdir()] == [mocogan.name]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["mocogn", "x", "-o", "y.safetensors"], "METHOD 'mocogn' has no converter, did you mean 'mocogan'"),
        (["mocogan", "x"], "-o OUT is missing"),
        (["mocogan", "x", "-o", "y.ckpt"], r"-o must end in \.safetensors, found y\.ckpt"),
        (["mocogan", "nowhere", "-o", "y.safetensors"], "nowhere cannot be read: No such file"),
        (["mocogan", "a", "b", "-o", "y.safetensors"], "cannot be read"),
    ],
)
def test_mistakes_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError, match=reason):
        main(words)


def test_files_of_no_known_format(tmp_path: Path) -> None:
    for name, data in (("a.bin", b"\x89HDF\r\n"), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BenchError, match="which is none of the formats read: torch legacy, npz, torch zip, Torch7"):
            read(tmp_path / name)


def test_a_discriminator_alone_is_not_enough(tmp_path: Path) -> None:
    vgan_files(tmp_path)
    with pytest.raises(BenchError, match="holds discriminator: sampling needs the generator"):
        convert("vgan", [tmp_path / "iter20_netD.t7"], tmp_path / "out.safetensors")
    twice = [tmp_path / "iter20_net.t7"] * 2
    with pytest.raises(BenchError, match="both hold a generator"):
        convert("vgan", twice, tmp_path / "out.safetensors")


def bent_mocogan(network: Any) -> dict[str, Callable[[], Any]]:
    """Changes of a generator -> what must be said of them."""
    main = network.main
    return {
        "main.13.weight is unknown": lambda: main.append(torch.nn.Conv2d(1, 1, 1, bias=False)),
        "main.1.weight holds NaN or infinity": lambda: main[1].weight.data.fill_(float("nan")),
        "generator.main.1 has eps 0.5, expected 1e-05": lambda: setattr(main[1], "eps", 0.5),
        "generator.main.3 has stride (4, 4), expected (2, 2)": lambda: setattr(main[3], "stride", (4, 4)),
        "main.4.bias has shape (3,), expected (8,)": lambda: setattr(
            main[4], "bias", torch.nn.Parameter(torch.ones(3))
        ),
        "main.4.bias is missing": lambda: setattr(main[4], "bias", None),
        "generator.main.2 is Tanh, expected ReLU": lambda: main.__setitem__(2, torch.nn.Tanh()),
        "holds dim_z_motion '3', expected a whole number": lambda: setattr(network, "dim_z_motion", "3"),
    }


@pytest.mark.parametrize("reason", range(8))
def test_what_does_not_fit_mocogan_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int) -> None:
    import tests.helpers.official_files as official

    said = ""

    def bend(network: Any) -> Any:
        nonlocal said
        said, change = list(bent_mocogan(network).items())[reason]
        change()
        return network

    monkeypatch.setattr(official, "drawn", lambda network: bend(drawn(network)))
    path = tmp_path / "generator_00100.pytorch"
    mocogan_file(path, monkeypatch)
    said = "has the parts" if "unknown" in said else said
    with pytest.raises(BenchError, match=re.escape(said)) as error:
        convert("mocogan", [path], tmp_path / "out.safetensors")
    assert str(error.value).startswith(str(path))


def find(tree: Lua, name: str) -> list[Lua]:
    inner = [hit for module in tree.fields.get("modules", []) for hit in find(module, name)]
    return ([tree] if tree.class_name.endswith(name) else []) + inner


@pytest.mark.parametrize(
    ("layer", "key", "value", "reason"),
    [
        ("VolumetricFullConvolution", "dT", 2, "here video.conv0, has dT 2, expected 1"),
        ("SpatialFullConvolution", "padW", 3, "here static.conv0, has padW 3, expected 0"),
        ("SpatialBatchNormalization", "eps", 0.1, "here static.bn0, has eps 0.1, expected 1e-05"),
        ("SpatialBatchNormalization", "running_var", None, "here static.bn0, has no running_var"),
        ("VolumetricFullConvolution", "bias", torch.ones(3), "video.conv0.bias has shape (3,), expected (16,)"),
        ("VolumetricFullConvolution", "bias", torch.full((16,), torch.nan), "video.conv0.bias holds NaN or infinity"),
        ("SelectTable", "index", 2, "has index 2, expected 1"),
        ("Replicate", "nfeatures", 4, "has nfeatures 4, expected 3"),
        ("MulConstant", "constant_scalar", 1, "has constant_scalar 1, expected -1"),
    ],
)
def test_what_does_not_fit_vgan_is_named(tmp_path: Path, layer: str, key: str, value: Any, reason: str) -> None:
    from lightning_modules.vgan.networks import TwoStreamGenerator

    tree = vgan_tree(drawn(TwoStreamGenerator(7, [16, 8, 4, 2])))
    find(tree, layer)[0].fields[key] = value
    path = write_t7(tmp_path / "iter20_net.t7", tree)
    with pytest.raises(BenchError, match=re.escape(reason)):
        convert("vgan", [path], tmp_path / "out.safetensors")


def test_other_layers_are_shown(tmp_path: Path) -> None:
    loop = Lua("nn.Sequential")
    loop.fields["modules"] = [loop]
    path = write_t7(tmp_path / "iter20_net.t7", loop)
    with pytest.raises(BenchError, match=r"holds the layers\n  Sequential\(Sequential again\)\nexpected those of main"):
        convert("vgan", [path], tmp_path / "out.safetensors")


def test_help_is_quick_and_names_the_files() -> None:
    words = [sys.executable, "-X", "importtime", "-m", "experiments", "convert", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert all(re.search(rf"^  {name} +\w", done.stdout, re.M) for name in methods())
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.M))
    assert {"argparse", "ast"} <= imported
    assert not {"torch", "lightning", "numpy", "yaml", "jsonargparse"} & imported
