"""Flow of real videos as it is cached, and against motion that is known exactly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.batch import to_float
from datamodules.errors import BenchError
from datamodules.flip import mirrored
from datamodules.flow import estimate
from datamodules.flow_track import WithFlow, flow_between
from datamodules.folder import VideoFolder
from datamodules.media import write_lossless
from datamodules.strip_reader import StripReader
from datamodules.tracks import BETWEEN, per_frame
from datamodules.ucf101 import Ucf101
from datamodules.vid2vid_street import Vid2VidStreet
from datamodules.video_reader import PIECE, VideoReader
from tests.datamodules.exact_motion import Exact, puppets, shapes
from tests.datamodules.frame_files import save
from tests.datamodules.listing import names_in
from tests.datamodules.strip_files import save_strip

SIZE, LENGTH = 32, 9


def textured(length: int, size: int = SIZE, step: int = 1) -> np.ndarray:
    """uint8 T H W 3: a smooth texture that moves `step` pixels to the right each frame."""
    rng = np.random.default_rng(0)
    wide = rng.uniform(0, 255, (size // 4, (size + length * step) // 4 + 2, 3)).repeat(4, 0).repeat(4, 1)
    smooth = np.mean([np.roll(wide, (a, b), (0, 1)) for a in range(-2, 2) for b in range(-2, 2)], axis=0)
    return np.stack([smooth[:, (length - t) * step :][:, :size] for t in range(length)]).astype(np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two lossless videos, one longer than a piece of the reader."""
    for name, length in (("a", LENGTH), ("b", PIECE + 5)):
        write_lossless(tmp_path / f"videos/{name}.mkv", textured(length))
    return tmp_path / "videos"


def folder(root: Path, **arguments: Any) -> VideoFolder:
    given: dict[str, Any] = {"labelled": False, "size": SIZE, "frames": 4, "flow": "dis", "val": 0.0, "test": 0.0}
    return VideoFolder(root=str(root), **(given | arguments))


def test_batches_hold_the_flow_of_their_frames(root: Path) -> None:
    data = folder(root)
    assert data.gives(flow="dis", labelled=False) == {"video", *BETWEEN} == {"video", *data.tracks}
    store = data.store("train")
    assert store.names == ["a.mkv", "b.mkv"]
    for video, start in ((0, LENGTH - 4), (1, PIECE - 2)):  # the second lies across two pieces
        batch = data.batch("train", np.array([video]), start + np.arange(4)[None], np.array([0]))
        assert batch["flow"].shape == batch["flow_back"].shape == (1, 2, 3, SIZE, SIZE)
        assert batch["flow_valid"].shape == batch["flow_back_valid"].shape == (1, 1, 3, SIZE, SIZE)
        assert batch["flow"].dtype == torch.int16 and batch["flow_valid"].dtype == torch.uint8
        clip = batch["video"][0].permute(1, 2, 3, 0).numpy()
        expected = estimate(clip)
        wide = to_float(dict(batch))
        assert np.abs(wide["flow"][0].numpy() - expected.forward).max() <= 1 / 64
        assert np.abs(wide["flow_back"][0].numpy() - expected.backward).max() <= 1 / 64
        np.testing.assert_array_equal(batch["flow_valid"][0, 0].numpy(), expected.valid)
        np.testing.assert_array_equal(batch["flow_back_valid"][0, 0].numpy(), expected.back_valid)
        assert abs(float(wide["flow"][0, 0].median()) - 1) < 0.1  # to the right


def test_frames_are_those_without_flow(root: Path, cache_folder: Path) -> None:
    at = np.array([0, 1]), np.array([[0, 3, 8], [36, 35, 1]])
    with_flow, without = folder(root).store("train"), folder(root, flow=None).store("train")
    np.testing.assert_array_equal(with_flow.gather(*at), without.gather(*at))
    assert with_flow.digest != without.digest
    assert len([name for name in names_in(cache_folder) if name.startswith("videos-")]) == 2


def test_the_method_its_preset_and_its_version_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = VideoReader(SIZE, SIZE)
    policy = WithFlow(reader).policy
    assert policy["flow"]["flow"] == "dis medium" and {"least", "opencv"} < set(policy["flow"])
    assert {**policy, "flow": None} == {**reader.policy, "flow": None}
    import cv2

    monkeypatch.setattr(cv2, "__version__", "0.0.0")
    assert WithFlow(reader).policy != policy


def test_a_reader_of_whole_videos_has_flow_too(tmp_path: Path) -> None:
    clip = textured(3)
    save_strip(tmp_path / "strip.png", clip)
    reader = WithFlow(StripReader(SIZE, SIZE))
    assert reader.count(tmp_path / "strip.png") == 3
    first, last = reader.open(tmp_path / "strip.png")
    assert isinstance(first, dict) and isinstance(last, dict)
    np.testing.assert_array_equal(first["flow"], flow_between(clip)["flow"])
    assert len(last["video"]) == 1 and not any(last[key].any() for key in BETWEEN)
    np.testing.assert_array_equal(last["video"], clip[-1:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stride": 2}, r"data\.init_args\.stride must be 1 with flow: dis, found 2: .*between neighbouring frames"),
        ({"frames": 1}, r"data\.init_args\.flow: dis runs between frames, but a clip has frames=1"),
        ({"size": (8, 64)}, r"needs frames of at least 16x16 pixels, found size 8 x 64"),
        ({"flow": "raft"}, r"data\.init_args\.flow must be dis or null, found 'raft'"),
    ],
)
def test_what_a_cache_of_flow_cannot_serve(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=message):
        folder(tmp_path, **arguments)
    with pytest.raises(BenchError, match=message):
        Ucf101(**{"root": str(tmp_path), "flow": "dis", **arguments})
    with pytest.raises(BenchError, match=message):
        Vid2VidStreet(**{"root": str(tmp_path), "flow": "dis", **arguments})


def test_a_protocol_with_a_stride_is_refused(root: Path) -> None:
    with pytest.raises(BenchError, match=r"flow.*: a cache holds what runs between neighbouring frames, but .* 2-th"):
        folder(root).eval_batch("train", [0], 4, 2, 0)


def test_mirrored_clips_have_the_flow_of_their_frames(root: Path) -> None:
    batch = folder(root).batch("train", np.array([0, 1]), np.array([[0, 1, 2], [3, 4, 5]]), np.array([0, 1]))
    turned = mirrored(batch, torch.tensor([True, False]))
    for key in BETWEEN:
        assert torch.equal(turned[key][1], batch[key][1])  # type: ignore[literal-required]
    assert torch.equal(turned["flow_valid"][0], batch["flow_valid"][0].flip(-1))
    for key in ("flow", "flow_back"):
        assert torch.equal(turned[key][0, 0], -batch[key][0, 0].flip(-1)) and turned[key].dtype == torch.int16  # type: ignore[literal-required]
        assert torch.equal(turned[key][0, 1], batch[key][0, 1].flip(-1))  # type: ignore[literal-required]
    seen = turned["flow_valid"][0, 0].bool()
    found = estimate(turned["video"][0].permute(1, 2, 3, 0).numpy()).forward
    off = np.abs(to_float(dict(turned))["flow"][0].numpy() - found)[:, seen.numpy()]
    assert np.median(off) < 0.05  # DIS itself is not symmetric
    assert torch.equal(mirrored(turned, torch.tensor([True, False]))["flow"], batch["flow"])
    largest: Any = {**batch, "flow": torch.full_like(batch["flow"], 32767)}
    assert mirrored(largest, torch.tensor([True, False]))["flow"][0, 0].unique().tolist() == [-32767]


def sequence(root: Path, clip: np.ndarray, broken: int | None = None) -> Path:
    for t, frame in enumerate(clip):
        save(root / f"train_A/walk/{t}.png", frame)
        path = save(root / f"train_B/walk/{t}.png", frame)
        if t == broken:
            path.write_bytes(b"broken")
    return root


def street(root: Path, **arguments: Any) -> Vid2VidStreet:
    given: dict[str, Any] = {"size": SIZE, "frames": 3, "classes": 0, "flow": "dis", "val": "train", "test": "train"}
    return Vid2VidStreet(root=str(root), **(given | arguments))


def test_sets_of_many_files_have_the_same_flow(tmp_path: Path) -> None:
    clip = textured(LENGTH)
    data = street(sequence(tmp_path, clip))
    assert data.gives(classes=0, flow="dis") == {"video", "condition", *BETWEEN} == {"video", *data.tracks}
    batch = data.batch("train", np.array([0]), np.arange(LENGTH)[None], np.array([0]))
    np.testing.assert_array_equal(batch["video"][0].permute(1, 2, 3, 0).numpy(), clip)
    for key, rows in flow_between(clip).items():
        np.testing.assert_array_equal(per_frame(key, batch[key].numpy())[0, :-1], rows)  # type: ignore[literal-required]


def test_no_flow_leads_over_a_broken_frame(tmp_path: Path) -> None:
    clip = textured(40)
    data = street(sequence(tmp_path, clip, broken=20), on_error="skip")
    store = data.store("train")
    assert store.names == ["train/walk/0", "train/walk/21"] and store.lengths.tolist() == [20, 19]
    for video, first in ((0, 17), (1, 21)):
        at = np.arange(3)[None] + (17 if video == 0 else 0)
        batch = data.batch("train", np.array([video]), at, np.array([0]))
        expected = flow_between(clip[first : first + 3])["flow"]
        np.testing.assert_array_equal(batch["flow"][0].numpy().transpose(1, 0, 2, 3), expected)


def through_a_folder(tmp_path: Path, exact: Exact) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Written as videos and read from the cache: distance to the exact flow, its length, and the validity."""
    for number, clip in enumerate(exact.video):
        write_lossless(tmp_path / f"exact/{number}.mkv", clip)
    size, length = exact.video.shape[2], exact.video.shape[1]
    data = folder(tmp_path / "exact", size=size, frames=length)
    videos = np.arange(len(exact.video))
    batch = data.batch("train", videos, np.tile(np.arange(length), (len(videos), 1)), videos)
    np.testing.assert_array_equal(batch["video"].permute(0, 2, 3, 4, 1).numpy(), exact.video)
    found = to_float(dict(batch))
    error = np.hypot(*np.moveaxis(found["flow"].numpy() - exact.flow, 1, 0))
    return error, np.hypot(*np.moveaxis(exact.flow, 1, 0)), found["flow_valid"][:, 0].numpy() > 0


def test_flow_of_shapes_is_exact_where_it_is_valid(tmp_path: Path) -> None:
    exact = shapes(4, 8, 64)
    error, length, valid = through_a_folder(tmp_path, exact)
    moving = length > 0.5
    assert length[moving].mean() > 3
    assert error[moving & exact.valid & valid].mean() < 0.1
    assert valid[moving & exact.valid].mean() > 0.7
    # Black that is covered next: a black ground has no texture, so the estimate moves it along with the shape.
    assert (~valid)[~exact.valid].mean() > 2 * (~valid)[exact.valid].mean()


def test_flow_of_persons_is_near_the_truth(tmp_path: Path) -> None:
    exact = puppets(4, 8, 64, fps=25)
    error, length, valid = through_a_folder(tmp_path, exact)
    moving = (length > 0.5) & exact.valid
    assert error[moving].mean() < 0.65 * length[moving].mean()  # no flow at all errs by the length
    assert error[moving & valid].mean() < 0.5 * length[moving & valid].mean()
    assert (~valid)[~exact.valid].mean() > 3 * (~valid)[exact.valid].mean()  # hidden pixels are found far more often
