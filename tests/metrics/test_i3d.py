import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import BenchError
from metrics.features.base import weights_digest
from metrics.features.i3d import I3D
from metrics.features.i3d_files import NAMINGS, convert, read
from metrics.features.i3d_network import I3DNetwork, Unit, max_pool
from metrics.features.resize import resize
from metrics.weights import CATALOGUE, MissingWeights
from tests.metrics.array_data import noise_clips
from tests.metrics.i3d_files import flax_tree, made_up_state, published_shapes, write_file


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return made_up_state()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Tensor]) -> Path:
    return write_file(tmp_path_factory.mktemp("i3d") / "weights.safetensors", "VideoGPT", state)


@pytest.mark.parametrize("naming", ["VideoGPT", "hassony2"])
def test_keys_and_shapes_are_the_published_ones(naming: str) -> None:
    published = {k: s for k, s in published_shapes(naming).items() if not k.endswith("num_batches_tracked")}
    own = {key: tuple(value.shape) for key, value in I3DNetwork().state_dict().items()}
    assert {key: own[name] for key, name in NAMINGS[naming]().items()} == published
    assert len(own) == len(set(NAMINGS[naming]().values())) == 287
    assert sum(int(np.prod(shape)) for shape in own.values()) == 12_711_824


def test_the_published_flax_file_has_230_arrays() -> None:
    assert len(NAMINGS["flax"]()) == 230
    wanted = NAMINGS["flax"]()
    assert wanted["params/Mixed_5b/Branch_2/Conv3d_0b_3x3/Conv_0/kernel"] == "Mixed_5b.b2b.conv3d.weight"
    assert wanted["batch_stats/Mixed_4f/Branch_3/Conv3d_0b_1x1/BatchNorm_0/var"] == "Mixed_4f.b3b.bn.running_var"


def test_every_naming_and_form_gives_the_same_features(tmp_path: Path, state: dict[str, Tensor]) -> None:
    counted = {k: torch.zeros(s, dtype=torch.int64) for k, s in published_shapes("VideoGPT").items() if not s}
    files = [
        write_file(tmp_path / "flax.ckpt", "flax", state),
        write_file(tmp_path / "own.pt", "VideoGPT", state),
        write_file(tmp_path / "counted.pt", "VideoGPT", state | counted),
        write_file(tmp_path / "own.legacy", "VideoGPT", state),
        write_file(tmp_path / "hassony.pt", "hassony2", state),
        write_file(tmp_path / "hassony.safetensors", "hassony2", state | counted),
    ]
    clips = noise_clips(0, 1, 3, 9, 32, 32)
    convert(files[0], tmp_path / "converted.safetensors")
    first = I3D(tmp_path / "converted.safetensors")
    features = first(clips)
    assert features.shape == (1, 400) and float(features.std()) > 1e-3
    for path in files:
        other = I3D(path)
        assert other.fingerprint == first.fingerprint
        assert weights_digest(other.network) == weights_digest(first.network)
    assert torch.equal(I3D(files[4])(clips), features)


@pytest.mark.parametrize("naming", ["flax", "VideoGPT", "hassony2"])
def test_a_missing_or_odd_key_is_named(tmp_path: Path, state: dict[str, Tensor], naming: str) -> None:
    path = tmp_path / "weights.pt"
    write_file(path, naming, {k: v for k, v in state.items() if k != "Mixed_4c.b1b.bn.bias"})
    lacks = {"flax": "Mixed_4c/Branch_1/Conv3d_0b_3x3/BatchNorm_0/bias", "VideoGPT": "Mixed_4c.b1b.bn.bias"}
    with pytest.raises(
        BenchError, match=f"{naming} naming: it lacks .*{lacks.get(naming, 'mixed_4c.branch_1.1.batch3d')}"
    ):
        read(path)


def test_other_wrong_contents_are_named(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "weights.pt"
    write_file(path, "VideoGPT", {**state, "Mixed_3b.b4.conv3d.weight": torch.zeros(1)})
    with pytest.raises(BenchError, match=r"has the odd Mixed_3b.b4.conv3d.weight"):
        read(path)
    head = {"logits.conv3d.weight": torch.zeros(600, 1024, 1, 1, 1)}
    write_file(path, "hassony2", state | head)
    with pytest.raises(BenchError, match=r"conv3d_0c_1x1.conv3d.weight is \(600, .*I3D has \(400, "):
        read(path)
    write_file(path, "VideoGPT", state | {"logits.conv3d.bias": torch.full((400,), torch.nan)})
    with pytest.raises(BenchError, match=r"logits.conv3d.bias must hold finite"):
        read(path)
    torch.save([1, 2], path)
    with pytest.raises(BenchError, match="must hold a state dict of tensors, found list"):
        read(path)
    path.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(BenchError, match="is no torch file of plain weights"):
        read(path)
    path.write_bytes(b"\x10\0\0\0\0\0\0\0{ no safetensors")
    with pytest.raises(BenchError, match="is a damaged safetensors file"):
        read(path)
    with pytest.raises(BenchError, match=r"cannot be read: No such file"):
        I3D(tmp_path / "nowhere.pt")


def tensorflow_same(x: Any, kernel: Any, stride: int) -> Any:
    """Convolution by TensorFlow's rule, output by output, in float64: C T H W with out in k k k."""
    k = kernel.shape[2]
    out = [-(-n // stride) for n in x.shape[1:]]
    begin = [max((o - 1) * stride + k - n, 0) // 2 for o, n in zip(out, x.shape[1:], strict=True)]
    result: Any = np.zeros((kernel.shape[0], *out))
    for place in itertools.product(*map(range, out)):
        for tap in itertools.product(range(k), repeat=3):
            at = [p * stride + t - b for p, t, b in zip(place, tap, begin, strict=True)]
            if all(0 <= a < n for a, n in zip(at, x.shape[1:], strict=True)):
                result[:, *place] += kernel[..., *tap] @ x[:, *at]
    return result


@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 1), (1, 1)])
@pytest.mark.parametrize("shape", [(4, 5, 6), (5, 4, 3)])
def test_same_padding_is_tensorflows(kernel: int, stride: int, shape: tuple[int, int, int]) -> None:
    rng = torch.Generator().manual_seed(1)
    unit = Unit(2, 3, kernel, 1e-3, stride)
    torch.nn.init.normal_(unit.conv3d.weight, generator=rng)
    unit.bn.running_mean.fill_(-50)  # keeps the ReLU open, so that every output is seen
    x = torch.randn(1, 2, *shape, generator=rng)
    with torch.no_grad():
        found = unit(x)[0].double().numpy() * (1 + 1e-3) ** 0.5 - 50
    expected = tensorflow_same(x[0].double().numpy(), unit.conv3d.weight.detach().double().numpy(), stride)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(("kernel", "stride"), [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2))])
@pytest.mark.parametrize("size", [4, 5])
def test_max_pooling_leaves_out_what_lies_outside(kernel: tuple[int, ...], stride: tuple[int, ...], size: int) -> None:
    x = torch.rand(1, 2, size, size + 1, size, generator=torch.Generator().manual_seed(2))
    found = max_pool(x, kernel, stride)
    for t, h, w in itertools.product(*map(range, found.shape[2:])):
        window = x[0]
        for axis, (place, k, s) in enumerate(zip((t, h, w), kernel, stride, strict=True), 1):
            n = x.shape[axis + 1]
            begin = place * s - max((-(-n // s) - 1) * s + k - n, 0) // 2
            window = window.narrow(axis, max(begin, 0), min(begin + k, n) - max(begin, 0))
        assert torch.equal(found[0, :, t, h, w], window.amax(dim=(1, 2, 3)))


def test_nine_frames_are_enough_and_eight_are_not(file: Path) -> None:
    extractor = I3D(file)
    assert extractor.min_frames == 9
    assert extractor(noise_clips(0, 1, 1, 9, 16, 16)).shape == (1, 400)
    with pytest.raises(BenchError, match="i3d features need at least 9 frames, found 8"):
        extractor(noise_clips(0, 1, 3, 8, 16, 16))


def test_each_clip_is_seen_alone_however_many_at_a_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor, clips = I3D(file), noise_clips(0, 2, 3, 9, 16, 16)
    together = extractor(clips)
    monkeypatch.setattr("metrics.features.i3d._FRAMES_AT_ONCE", 17)
    torch.testing.assert_close(extractor(clips), together, rtol=1e-5, atol=1e-5)
    assert extractor(clips[:0]).shape == (0, 400)


def test_preprocessing_by_every_option(file: Path) -> None:
    clips = noise_clips(0, 2, 3, 2, 30, 48)
    frames = clips[1, :, 1][None].float()
    squashed = I3D(file).preprocess(clips)
    assert squashed.shape == (2, 3, 2, 224, 224) and squashed.aminmax().max <= 1 and squashed.aminmax().min >= -1
    torch.testing.assert_close(squashed[1, :, 1], resize(frames, (224, 224), "tf1")[0] / 127.5 - 1)
    half = I3D(file, resize="half_pixel", crop="center").preprocess(clips)
    wide = F.interpolate(frames, (224, 359), mode="bilinear", align_corners=False)  # 48 * 224 / 30 = 358.4
    torch.testing.assert_close(half[1, :, 1], wide[0, :, :, 67 : 67 + 224] / 127.5 - 1)
    tall = I3D(file, crop="center").preprocess(clips.transpose(3, 4))
    expected = I3D(file, crop="center").preprocess(clips).transpose(3, 4)
    torch.testing.assert_close(tall, expected, rtol=1e-5, atol=1e-5)


def test_normalisation_by_either_eps(file: Path) -> None:
    clips = noise_clips(0, 1, 3, 9, 16, 16)
    published, port = I3D(file), I3D(file, bn_eps=1e-5)
    network = published.network
    norm = network.Conv3d_1a_7x7.bn
    x = torch.randn(1, 64, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    scale = (norm.running_var + 1e-3).rsqrt()[:, None, None, None]
    expected = (x - norm.running_mean[:, None, None, None]) * scale + norm.bias[:, None, None, None]
    torch.testing.assert_close(norm(x), expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(published(clips), port(clips), rtol=1e-4)


def test_it_can_be_built_listed_and_fingerprinted_without_its_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REELBENCH_WEIGHTS", str(tmp_path))
    extractor = I3D()
    assert (extractor.name, extractor.num_features, extractor.level) == ("i3d", 400, "clip")
    digest = str(CATALOGUE["i3d"].values_digest)
    assert extractor.fingerprint.startswith(f"i3d clip values sha256 {digest[:12]}, x/127.5-1, tf1 bilinear")
    for _ in range(2):
        with pytest.raises(MissingWeights, match="`reelbench weights fetch i3d`"):
            extractor(noise_clips(0, 1, 3, 9, 16, 16))


def test_only_the_published_network_with_published_settings_is_called_fvd(file: Path) -> None:
    assert I3D().distance_name == "fvd"
    assert I3D(bn_eps=1e-5).distance_name is None
    assert I3D(resize="half_pixel").distance_name is None
    assert I3D(crop="center").distance_name is None
    assert I3D(file).distance_name is None
    prints = {I3D().fingerprint, I3D(file).fingerprint, I3D(bn_eps=1e-5).fingerprint, I3D(crop="center").fingerprint}
    assert len(prints) == 4


def test_it_never_trains(file: Path) -> None:
    extractor = I3D(file)
    before = weights_digest(extractor.network)
    extractor.train()
    extractor(noise_clips(0, 1, 3, 9, 16, 16))
    assert not extractor.network.training and weights_digest(extractor.network) == before
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(BenchError, match="resize must be one of tf1, half_pixel, antialias, found 'bicubic'"):
        I3D(resize="bicubic")  # type: ignore[arg-type]
    with pytest.raises(BenchError, match="crop must be squash or center, found 'centre'"):
        I3D(crop="centre")  # type: ignore[arg-type]
    with pytest.raises(BenchError, match="bn_eps must lie in"):
        I3D(bn_eps=0)


def test_a_flax_tree_with_other_things_in_it(tmp_path: Path, state: dict[str, Tensor]) -> None:
    import pickle

    tree = flax_tree(state)
    tree["step"] = 3
    (tmp_path / "a.ckpt").write_bytes(pickle.dumps(tree))
    with pytest.raises(BenchError, match="must hold nested dicts of arrays, found int at step"):
        read(tmp_path / "a.ckpt")
