"""Which videos and clips `reelbench score` takes: lengths, sizes, names, broken files, counts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.media import write_mp4
from datamodules.video_reader import VideoReader
from metrics.features.random import RandomFeatures
from metrics.frechet import FrechetDistance, fit, frechet_distance
from metrics.pixel import SSIM
from tests.datamodules.video_files import cut
from tests.experiments.score_files import clip, entries, first, refused, two_folders, write
from tests.experiments.score_files import own_cache as own_cache
from tests.metrics.array_data import numbered

BOTH = ("--metrics", "ssim,frechet_random")


def ssim_of(fake: torch.Tensor, real: torch.Tensor) -> float | None:
    metric = SSIM()
    metric.update(fake, real, numbered(*range(len(fake))))
    return metric.result().value


def frechet_of(fake: torch.Tensor, real: torch.Tensor) -> float:
    network = RandomFeatures()
    one_by_one = [torch.cat([network(clip[None]) for clip in clips]) for clips in (fake, real)]
    return frechet_distance(fit(one_by_one[0]), fit(one_by_one[1]))


def test_names_decide_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = write(tmp_path / "real", {"a.npy": clip(0), "b.npy": clip(1), "c.npy": clip(2)})
    fake = write(tmp_path / "fake", {"deep/b.mkv": clip(11), "c.mkv": clip(12), "d.mkv": clip(13), "e.mkv": clip(14)})
    found = entries(capsys, real, fake, *BOTH)
    assert found["ssim"]["value"] == ssim_of(first([clip(11), clip(12)]), first([clip(1), clip(2)]))
    assert (found["ssim"]["n"], found["ssim"]["n_real"]) == (2, 2)
    assert found["ssim"]["unpaired"] == {"real": ["a.npy"], "fake": ["d.mkv", "e.mkv"]}
    assert "2 generated videos have no partner of their name: d.mkv, e.mkv" in found["ssim"]["notes"]
    assert (found["frechet[random]"]["n_real"], found["frechet[random]"]["n_fake"]) == (3, 4)
    assert "3 real and 4 generated clips" in found["frechet[random]"]["notes"]
    # A stem that a side has twice: then names below the folder pair.
    write(fake, {"b.mkv": clip(15)})
    found = entries(capsys, real, fake, *BOTH)
    assert found["ssim"]["value"] == ssim_of(first([clip(15), clip(12)]), first([clip(1), clip(2)]))
    assert found["ssim"]["unpaired"]["fake"] == ["d.mkv", "deep/b.mkv", "e.mkv"]


def test_nothing_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = write(tmp_path / "real", {"a.npy": clip(0), "b.npy": clip(1)})
    fake = write(tmp_path / "fake", {"x.npy": clip(2), "y.npy": clip(3)})
    told = refused(capsys, real, fake, "--metrics", "ssim,psnr")
    assert "no real and generated video have the same name (a.npy and x.npy are the first): ssim, psnr compare" in told
    found = entries(capsys, real, fake, *BOTH)
    assert found["ssim"]["value"] is None and "same name" in found["ssim"]["reason"]
    assert found["frechet[random]"]["value"] > 0


def test_one_video_in_two_formats_is_not_counted_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `reelbench sample --lossless` writes them: with a sheet, and the real clips in a folder below."""
    fake = write(tmp_path / "samples", {f"0000{n}.mkv": clip(10 + n) for n in range(3)})
    for n in range(3):
        write_mp4(fake / f"0000{n}.mp4", clip(10 + n))
    Image.new("RGB", (40, 30)).save(fake / "contact.png")
    real = write(fake / "real", {f"0000{n}.mkv": clip(n) for n in range(3)})
    told = refused(capsys, real, fake, *BOTH)
    assert "holds 00000 2 times: 00000.mkv, 00000.mp4" in told and "--suffix .mkv" in told
    found = entries(capsys, real, fake, *BOTH, "--suffix", "mkv")
    clips = first([clip(10 + n) for n in range(3)]), first([clip(n) for n in range(3)])
    assert found["ssim"]["value"] == ssim_of(*clips)
    assert found["frechet[random]"]["value"] == pytest.approx(frechet_of(*clips), rel=1e-9)
    assert "holds no video whose name ends in .avi" in refused(capsys, real, fake, *BOTH, "--suffix", ".avi")


def test_short_videos_are_skipped_never_padded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 3)
    write(fake, {"001.npy": clip(101, frames=15)})
    found = entries(capsys, real, fake, *BOTH)
    reason = "has 15 frames, 16 are needed"
    for entry in found.values():
        assert entry["skipped"] == [{"side": "fake", "file": "001.npy", "reason": reason}]
        assert "1 of 3 generated videos were skipped" in entry["notes"]
    assert found["ssim"]["value"] == ssim_of(first([clip(100), clip(102)]), first([clip(0), clip(2)]))
    assert found["ssim"]["n"] == 2 and found["frechet[random]"]["n_fake"] == 2
    write(fake, {"001.mkv": clip(101, frames=15)})  # a container that does not name its frames
    (fake / "001.npy").unlink()
    assert entries(capsys, real, fake, *BOTH)["ssim"]["skipped"][0]["reason"] == reason
    assert entries(capsys, real, fake, *BOTH, "--frames=15")["ssim"]["n"] == 3


def test_one_frame_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, _ = two_folders(tmp_path, 2)
    write(tmp_path / "still", {f"00{n}.npy": clip(n, frames=1) for n in range(2)})
    told = refused(capsys, real, tmp_path / "still", *BOTH)
    assert "none of the 2 generated videos can be used (clips have 16 frames, see --frames)" in told
    assert "000.npy: has 1 frame, 16 are needed" in told
    Image.new("RGB", (24, 24)).save(tmp_path / "one.png")
    assert "one.png: a single picture, not a video" in refused(capsys, real, tmp_path / "one.png", *BOTH)


def test_longer_videos_by_window(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = write(tmp_path / "real", {"a.mkv": clip(0, 40), "b.mkv": clip(1, 47)})
    fake = write(tmp_path / "fake", {"a.mkv": clip(2, 33), "b.mkv": clip(3, 80)})
    once = entries(capsys, real, fake, *BOTH)
    assert once["ssim"]["n"] == 2 and once["ssim"]["protocol"]["windows"] == "first"
    assert "2 of 2 real videos are longer: only their first clip counts (windows: first)" in once["ssim"]["notes"]
    found = entries(capsys, real, fake, *BOTH, "--windows", "all")

    def windows(video: np.ndarray) -> torch.Tensor:
        return torch.cat([first([video[16 * n :]]) for n in range(len(video) // 16)])

    ours = [
        torch.cat([windows(clip(n, length)) for n, length in side]) for side in (((2, 33), (3, 80)), ((0, 40), (1, 47)))
    ]
    assert (found["frechet[random]"]["n_real"], found["frechet[random]"]["n_fake"]) == (4, 7)
    assert found["frechet[random]"]["value"] == pytest.approx(frechet_of(*ours), rel=1e-5)
    assert found["ssim"]["n"] == 4  # a: two each, b: two of five
    assert found["ssim"]["value"] == pytest.approx(ssim_of(ours[0][:4], ours[1]), rel=1e-12)
    assert "1 of 2 generated videos end with frames that fill no clip (windows: all)" in found["ssim"]["notes"]
    few = entries(capsys, real, fake, *BOTH, "--windows", "all", "--n-real=3", "--n-fake=3")
    assert (few["ssim"]["n"], few["frechet[random]"]["n_real"], few["frechet[random]"]["n_fake"]) == (3, 3, 3)
    assert found["ssim"]["protocol"]["hash"] != once["ssim"]["protocol"]["hash"]


def test_stride_and_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 2)
    found = entries(capsys, real, fake, *BOTH, "--frames=4", "--stride=5", "--context=1")
    clips = [torch.stack([first([clip(n)[::5]], 4)[0, :, 1:] for n in side]) for side in ((100, 101), (0, 1))]
    assert found["ssim"]["value"] == ssim_of(*clips)
    assert found["frechet[random]"]["value"] == pytest.approx(frechet_of(*clips), rel=1e-9)
    assert found["ssim"]["curve"]["frame"] == [1, 2, 3]
    protocol = found["ssim"]["protocol"]
    assert (protocol["context"], protocol["score_context"], protocol["stride"]) == (1, False, 5)
    told = refused(capsys, real, fake, *BOTH, "--frames=4", "--stride=7")
    assert "has 20 frames, 22 are needed" in told
    # Over more pieces than one that the reader gives, whose length is no multiple of the stride.
    videos = [clip(n, 100, 12) for n in range(2)]
    long = [write(tmp_path / f"long{n}", {"a.npy": video}) for n, video in enumerate(videos)]
    found = entries(capsys, *long, "--metrics=ssim", "--frames=4", "--stride=7", "--windows=all")
    strided = [torch.cat([first([video[::7][at : at + 4]], 4) for at in (0, 4, 8)]) for video in videos]
    assert found["ssim"]["n"] == 3 and found["ssim"]["value"] == pytest.approx(
        ssim_of(strided[1], strided[0]), rel=1e-12
    )


def test_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 2, ".mkv")  # 8 frames a second
    found = entries(capsys, real, fake, *BOTH, "--fps=4", "--frames=8")
    clips = (torch.cat([first([clip(n)[::2]], 8) for n in side]) for side in ((100, 101), (0, 1)))
    assert found["ssim"]["value"] == ssim_of(*clips) and found["ssim"]["protocol"]["fps"] == 4
    assert "has 10 frames, 16 are needed" in refused(capsys, real, fake, *BOTH, "--fps=4")


def test_warnings_of_the_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, _ = two_folders(tmp_path, 1)
    (tmp_path / "fake" / "000").mkdir()
    for t in (n for n in range(20) if n != 7):
        Image.fromarray(clip(100)[t]).save(tmp_path / "fake" / "000" / f"{t}.png")
    (tmp_path / "fake" / "000.npy").unlink()
    notes = entries(capsys, real, tmp_path / "fake" / "000", "--metrics=ssim")["ssim"]["notes"]
    assert "1 of 1 generated videos have a warning, such as 000: frame numbers leave gaps: 8 follows 6" in notes


def test_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 3)
    write(fake, {"001.npy": clip(101, side=48)})
    found = entries(capsys, real, fake, *BOTH)
    assert found["ssim"]["value"] is None
    assert found["ssim"]["reason"] == (
        "1 of 3 pairs differ in size, such as 001.npy: real 24x24, generated 48x48; --resize compares them at 24x24"
    )
    small = VideoReader(24, 24).read(fake / "001.npy")
    clips = first([clip(100), small, clip(102)]), first([clip(0), clip(1), clip(2)])
    assert found["frechet[random]"]["value"] == pytest.approx(frechet_of(*clips), rel=1e-9)
    assert (
        "1 of 3 generated videos, such as 001.npy (48x48), were resized to 24x24" in found["frechet[random]"]["notes"]
    )
    resized = entries(capsys, real, fake, *BOTH, "--resize")
    assert resized["ssim"]["value"] == ssim_of(*clips)
    assert resized["frechet[random]"] == found["frechet[random]"]
    wide = entries(capsys, real, fake, "--metrics", "frechet_random", "--size=12x20", "--fit=pad")["frechet[random]"]
    assert (wide["protocol"]["height"], wide["protocol"]["width"]) == (12, 20)
    assert wide["resize"] == "swscale area, full chroma, bit exact, pad, to 12x20"


def test_broken_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 4, ".mkv")
    whole = entries(capsys, real, fake, *BOTH, "--frames=20")
    cut(fake / "001.mkv", fake / "half.mkv", 0.5)
    (fake / "half.mkv").replace(fake / "001.mkv")
    (real / "002.mkv").write_bytes(b"")
    (real / "003.mkv").unlink()
    (real / "003.mkv").symlink_to(tmp_path / "nowhere")
    found = entries(capsys, real, fake, *BOTH, "--frames=20")
    assert [(s["side"], s["file"]) for s in found["ssim"]["skipped"]] == [
        ("real", "002.mkv"),
        ("real", "003.mkv"),
        ("fake", "001.mkv"),
    ]
    assert "empty: 0 bytes" in found["ssim"]["skipped"][0]["reason"]
    assert "cannot be read" in found["ssim"]["skipped"][1]["reason"]
    assert found["ssim"]["n"] == 1 and found["ssim"]["value"] == ssim_of(first([clip(100)], 20), first([clip(0)], 20))
    assert (found["frechet[random]"]["n_real"], found["frechet[random]"]["n_fake"]) == (2, 3)
    assert found["ssim"]["key"] != whole["ssim"]["key"]
    for path in fake.iterdir():
        path.write_bytes(b"nothing")
    told = refused(capsys, real, fake, *BOTH)
    assert "none of the 4 generated videos can be used" in told and "000.mkv: not a readable video (7 B" in told


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.mkdir(), "holds no video: found nothing"),
        (lambda p: None, "no such file or folder"),
        (lambda p: (p.mkdir(), (p / "a.txt").write_text("text")), "holds no video: found a.txt"),
    ],
)
def test_nothing_to_score(make: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 2)
    make(tmp_path / "bad")
    assert message in refused(capsys, real, tmp_path / "bad")
    assert message in refused(capsys, tmp_path / "bad", fake)


def test_copies_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 3)
    write(fake, {"001.npy": clip(100), "002.npy": clip(2)})
    notes = entries(capsys, real, fake, *BOTH)["frechet[random]"]["notes"]
    assert "1 generated videos are copies of others of their side, byte for byte" in notes
    assert "1 generated videos are real ones, byte for byte" in notes


def test_the_metrics_class_is_the_packaged_one() -> None:
    from experiments.score.names import METRICS, build

    for name, spec in METRICS.items():
        assert build(name, spec).name == name
    assert isinstance(build("fvd", METRICS["fvd"]), FrechetDistance)
