"""The networks take the published layouts, strictly: names and shapes are told by the digest of the published list."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules.errors import BenchError
from metrics.features.base import Extractor
from metrics.features.c3d import C3D, MEAN_SHAPE, C3DNetwork
from metrics.features.efficientnet_lite0 import EfficientNetLite0, EfficientNetLite0Network
from metrics.features.face_embedding import FaceEmbedding, FaceNetwork
from metrics.features.inception import Inception
from metrics.features.inception_network import InceptionNetwork
from metrics.features.lpips import LpipsNetwork
from metrics.features.lpips import load as load_lpips
from metrics.features.published import PublishedExtractor
from metrics.features.state_dict import fill, read_npz, read_torch
from metrics.features.torchvision_backbones import PLANS, Backbone
from metrics.features.vgg import Vgg19Features
from metrics.features.vgg import load as load_vgg
from metrics.weights import MissingWeights
from tests.metrics.network_files import (
    face_name,
    listing_digest,
    values_for,
    write_chainer,
    write_face,
    write_torch,
)


def shapes(network: nn.Module, named: Callable[[str], str] = str) -> list[tuple[str, tuple[int, ...]]]:
    return [(named(key), tuple(value.shape)) for key, value in network.state_dict().items()]


def chainer(key: str) -> str:
    return key.replace(".weight", "/W").replace(".bias", "/b")


def test_inception_is_pt_inception_2015_12_05() -> None:
    with torch.device("meta"):
        network = InceptionNetwork()
    assert len(network.state_dict()) == 566
    assert sum(value.numel() for value in network.state_dict().values()) == 23_885_486
    assert listing_digest(shapes(network)) == "760681d791cb624e"


def test_c3d_is_the_chainer_file() -> None:
    with torch.device("meta"):
        network = C3DNetwork()
    assert listing_digest(shapes(network, chainer)) == "fc300fa27c4e9b1b"


def test_efficientnet_is_the_package_s_file() -> None:
    with torch.device("meta"):
        network = EfficientNetLite0Network()
    assert len(network.state_dict()) == 296
    assert listing_digest(shapes(network)) == "56e888a56e06aa25"


def test_face_embedding_is_the_package_s_manifest() -> None:
    with torch.device("meta"):
        network = FaceNetwork()
    stored = [
        (face_name(key), tuple(value.permute({4: (2, 3, 1, 0), 2: (1, 0)}.get(value.ndim, (0,))).shape))
        for key, value in network.state_dict().items()
    ]
    assert listing_digest(stored) == "6fc11f9c5b6878ca"


# Each extractor with the file that it reads: (build from a folder and values, network, tolerance of the stored values).
def _inception(folder: Path, values: dict[str, Tensor]) -> Extractor:
    return Inception(write_torch(folder / "w.pth", values))


def _efficientnet(folder: Path, values: dict[str, Tensor]) -> Extractor:
    return EfficientNetLite0(write_torch(folder / "w.pth", values))


def _c3d(folder: Path, values: dict[str, Tensor]) -> Extractor:
    mean = write_chainer(folder / "mean.npz", {"mean.weight": torch.ones(1, *MEAN_SHAPE)})
    return C3D(write_chainer(folder / "w.npz", values), mean)


def _face(folder: Path, values: dict[str, Tensor]) -> Extractor:
    return FaceEmbedding(write_face(folder, values))


READ: dict[str, tuple[Callable[[Path, dict[str, Tensor]], Extractor], Callable[[], nn.Module], float]] = {
    "inception": (_inception, InceptionNetwork, 0),
    "c3d": (_c3d, lambda: C3DNetwork(), 0),
    "efficientnet_lite0": (_efficientnet, EfficientNetLite0Network, 0),
    "face_embedding": (_face, FaceNetwork, 0.02),  # bytes
}


def made_up(name: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        network = READ[name][1]()
    return values_for(network)


@pytest.mark.parametrize("name", READ)
def test_every_value_arrives(name: str, tmp_path: Path) -> None:
    values = made_up(name)
    extractor = READ[name][0](tmp_path, values)
    assert isinstance(extractor, PublishedExtractor)
    for key, value in extractor.network.state_dict().items():
        torch.testing.assert_close(value, values[key], rtol=0, atol=READ[name][2], msg=key)
    other = READ[name][0](tmp_path, values_for(extractor.network, seed=1))
    assert other.fingerprint != extractor.fingerprint  # given weights are told apart by their values
    assert "values sha256" in extractor.fingerprint and extractor.preprocessing in extractor.fingerprint
    assert not extractor.network.training and not any(p.requires_grad for p in extractor.parameters())


def without_one(values: dict[str, Tensor]) -> str:
    return f"lacks .*{next(k for k in list(values) if values.pop(k) is not None)}"


def with_another(values: dict[str, Tensor]) -> str:
    values["extra.weight"] = torch.zeros(2)
    return "has the odd .*extra"


def of_another_shape(values: dict[str, Tensor]) -> str:
    key = next(k for k, v in values.items() if v.ndim > 1)
    values[key] = torch.cat([values[key], values[key]])
    return r"has .* in place of \("


def with_nan(values: dict[str, Tensor]) -> str:
    next(v for v in values.values() if v.ndim > 1).view(-1)[3] = float("nan")
    return "NaN or infinity in"


@pytest.mark.parametrize("damage", [without_one, with_another, of_another_shape, with_nan])
@pytest.mark.parametrize("name", ["inception", "c3d", "efficientnet_lite0"])
def test_what_does_not_fit_is_named(name: str, damage: Callable[[dict[str, Tensor]], str], tmp_path: Path) -> None:
    values = made_up(name)
    if name == "c3d":  # one layer of 134 MB is enough for a file
        values = {key: value for key, value in values.items() if not key.startswith("fc6")}
        said = damage(values)
        if damage is without_one:
            said = "lacks"
    else:
        said = damage(values)
    with pytest.raises(BenchError, match=f"does not hold the weights of {name}: .*{said}"):
        READ[name][0](tmp_path, values)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no torch file of plain weights"), (b"text", "no torch file"), (None, "cannot be read: No such file")],
)
def test_other_files_for_torch(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BenchError, match=message):
        read_torch(path)


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('executed')",))


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    import numpy as np

    torch.save({"a": Payload()}, tmp_path / "w.pth")
    with pytest.raises(BenchError, match="no torch file of plain weights"):
        read_torch(tmp_path / "w.pth")
    np.savez(tmp_path / "w.npz", a=np.array([Payload()], dtype=object))
    with pytest.raises(BenchError, match=r"no \.npz archive of plain arrays"):
        read_npz(tmp_path / "w.npz")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(BenchError, match="state dict of tensors, found list"):
        read_torch(tmp_path / "list.pth")


def test_whole_numbers_in_place_of_fractions() -> None:
    network = nn.Linear(2, 2)
    state = {"weight": torch.zeros(2, 2, dtype=torch.int64), "bias": torch.zeros(2)}
    with pytest.raises(BenchError, match="wrong kind in weight"):
        fill(network, state, Path("f"), "it")


@pytest.mark.parametrize("name", PLANS)
def test_backbones_read_torchvision_s_whole_file(name: Any, tmp_path: Path) -> None:
    backbone = Backbone(name)
    unused = {f"{layer}.weight": shape for layer, shape in PLANS[name].unused.items()}
    unused |= {f"{layer}.bias": shape[:1] for layer, shape in PLANS[name].unused.items()}
    values = values_for(backbone)
    backbone.read(write_torch(tmp_path / "w.pth", values, unused))
    assert all(torch.equal(value, values[key]) for key, value in backbone.state_dict().items())
    with pytest.raises(BenchError, match=r"lacks (classifier|features)"):
        backbone.read(write_torch(tmp_path / "w.pth", values))


def test_lpips_reads_the_published_heads(tmp_path: Path) -> None:
    """The heads that torchmetrics carries are the published files; the catalogue knows their digests."""
    from metrics.weights import locate

    for net, name in (("alex", "alexnet"), ("vgg", "vgg16"), ("squeeze", "squeezenet1_1")):
        network = LpipsNetwork(net)  # type: ignore[arg-type]
        unused = {f"{layer}.weight": shape for layer, shape in PLANS[name].unused.items()}
        unused |= {f"{layer}.bias": shape[:1] for layer, shape in PLANS[name].unused.items()}
        heads = locate(f"lpips_{net}")
        network.read(heads, write_torch(tmp_path / "w.pth", values_for(network.backbone), unused))
        stored = torch.load(heads, map_location="cpu", weights_only=True)
        assert {f"{k}.model.1.weight" for k in network.heads} == set(stored)
        assert all(torch.equal(network.heads.state_dict()[key], value) for key, value in stored.items())
        assert all((value >= 0).all() for value in stored.values())  # the distance cannot be negative


@pytest.mark.parametrize(
    ("use", "command"),
    [
        (lambda: Inception().prepare(), "inception"),
        (lambda: C3D().prepare(), "c3d_ucf101"),
        (lambda: EfficientNetLite0().prepare(), "efficientnet_lite0"),
        (lambda: FaceEmbedding().prepare(), "face_embedding"),
        (lambda: load_lpips("alex"), "alexnet"),
        (load_vgg, "vgg19"),
    ],
)
def test_missing_weights_name_the_command(
    use: Callable[[], object], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match=f"`reelbench weights fetch {command}"):
        use()


@pytest.mark.parametrize("build", [Inception, C3D, EfficientNetLite0, FaceEmbedding])
def test_known_without_the_files(build: type[Extractor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    extractor = build()
    assert extractor.name in extractor.fingerprint and extractor.preprocessing in extractor.fingerprint
    assert ("digest unknown" in extractor.fingerprint) == (build is C3D)  # nobody published one


def test_a_file_that_is_not_the_published_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    write_torch(tmp_path / "pt_inception-2015-12-05-6726825d.pth", {"a": torch.zeros(1)})
    with pytest.raises(BenchError, match=r"is not the file of the weights inception: its sha.* was expected"):
        Inception().prepare()


def test_vgg19_s_taps() -> None:
    features = Vgg19Features(width=4)(torch.randn(1, 3, 32, 48))
    assert [tuple(f.shape[1:]) for f in features] == [(4, 32, 48), (8, 16, 24), (16, 8, 12), (32, 4, 6), (32, 2, 3)]
    assert all((f >= 0).all() for f in features)
