"""Under which conditions `reelbench score` measures, and what their hashes tell apart."""

from pathlib import Path
from typing import Any

import pytest

from experiments.score.files import Video, drawn
from tests.experiments.score_files import clip, entries, refused, two_folders, write
from tests.experiments.score_files import own_cache as own_cache

RANDOM = "frechet[random]"
METRICS = ("--metrics", "ssim,frechet_random")


def hashes(found: dict[str, dict[str, Any]]) -> set[str]:
    return {entry["key"] for entry in found.values()}


def test_what_the_hash_tells_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 3)
    one = entries(capsys, real, fake, *METRICS)
    assert len(hashes(one)) == 2 and one["ssim"]["key"].startswith("test/ssim/folder-")
    other = write(tmp_path / "other", {f"00{n}.npy": clip(200 + n) for n in range(3)})
    assert hashes(entries(capsys, real, other, *METRICS)) == hashes(one)  # another generator, the same conditions
    assert hashes(entries(capsys, real, fake, "--metrics", "ssim")) == {one["ssim"]["key"]}  # whatever else is asked
    copied = write(tmp_path / "copied", {f"00{n}.npy": clip(n) for n in range(3)})
    assert hashes(entries(capsys, copied, fake, *METRICS)) == hashes(one)
    write(copied, {"001.npy": clip(9)})
    assert not hashes(entries(capsys, copied, fake, *METRICS)) & hashes(one)
    write(other, {"more.npy": clip(300)})
    more = entries(capsys, real, other, *METRICS)
    assert more["ssim"]["key"] == one["ssim"]["key"]  # pairs are what they were
    assert more[RANDOM]["key"] != one[RANDOM]["key"]


def test_packaged_protocols(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 4)
    found = entries(capsys, real, fake, "--protocol", "cpu256", code=1)
    assert list(found) == ["acd_color", RANDOM, "frechet_frame[random]", "nearest_train", "diversity"]
    assert found[RANDOM]["reason"].startswith(
        "the protocol cpu256 asks for 256 real and 256 generated clips, found 4 and 4"
    )
    assert "reads a training set" in found["nearest_train"]["reason"]
    found = entries(capsys, real, fake, "--protocol", "cpu256", "--n-real=3", "--n-fake=2")
    assert (found[RANDOM]["n_real"], found[RANDOM]["n_fake"]) == (3, 2) and found[RANDOM]["value"] > 0
    assert found[RANDOM]["protocol"]["label"] == "cpu256"
    told = refused(capsys, real, fake, "--protocol", "prediction256")
    assert "leaves the frames out that a prediction method was given: say how many they are with --context" in told
    words = ("--context=2", "--n-real=4", "--n-fake=4")
    assert entries(capsys, real, fake, "--protocol", "prediction256", *words)["psnr"]["curve"]["frame"][0] == 2
    assert "samples is 100, but two folders hold one generated video" in refused(
        capsys, real, fake, "--protocol", "svg_best_of_100"
    )


def test_a_protocols_own_settings_come_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = two_folders(tmp_path, 2)
    file = tmp_path / "mine.yaml"
    file.write_text(
        "evaluate:\n  protocol: {label: mine, frames: 8}\n"
        "  metrics: {psnr: {class_path: metrics.pixel.PSNR, init_args: {pooling: set}}}\n"
        "clips: {size: 12x20, fit: crop, windows: all}\n",
        encoding="utf-8",
    )
    found = entries(capsys, real, fake, "--protocol", file, "--metrics", "psnr,ssim")
    assert "of the mean squared error over all clips" in found["psnr"]["fingerprint"]
    protocol = found["ssim"]["protocol"]
    assert (protocol["label"], protocol["frames"], protocol["height"], protocol["width"]) == ("mine", 8, 12, 20)
    assert (protocol["windows"], found["ssim"]["n"]) == ("all", 4)
    assert list(entries(capsys, real, fake, "--protocol", file)) == ["psnr"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("evaluate: {protocol: {frmes: 8}}", "evaluate.protocol.frmes is no setting; did you mean frames?"),
        ("evaluate: {protocol: {size: 8}}", "evaluate.protocol.size is no setting; "),
        ("clips: {frames: 8}", "clips.frames is no setting; expected channels, context, fit, fps, size, windows"),
        ("protocol: {frames: 8}", "protocol is no setting; expected clips, evaluate"),
        ("[1]", "the file must be a mapping, found list"),
        ("a: [", "not valid YAML"),
        ("clips: {windows: last}", "windows must be first, random or all, found 'last'"),
        ("clips: {fit: stretch}", "fit must be one of ('squash', 'crop', 'pad'), found 'stretch'"),
        ("evaluate: {metrics: {ssim: {class_path: metrics.pixel.SIM}}}", "evaluate.metrics.ssim: "),
        ("evaluate: {metrics: {ssim: {class_path: metrics.pixel.PSNR}}}", "this PSNR measures psnr; its key must be"),
        (
            "evaluate: {metrics: {ssim: {class_path: metrics.pixel.SSIM, init_args: {pre: 1}}}}",
            "Option 'pre' is not accepted",
        ),
    ],
)
def test_mistakes_in_a_file(text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert message in refused(capsys, *two_folders(tmp_path, 2), "--protocol", tmp_path / "mine.yaml")


def test_a_drawn_sample_is_of_pairs_and_makes_up_for_broken_videos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, fake = two_folders(tmp_path, 8)
    words = (*METRICS, "--n-real=5", "--n-fake=5")
    found = entries(capsys, real, fake, *words)
    order = [v.name for v in drawn([Video(real / f"00{n}.npy", f"00{n}.npy", f"00{n}") for n in range(8)], 0)]
    assert order != sorted(order)
    assert found["ssim"]["n"] == found[RANDOM]["n_real"] == found[RANDOM]["n_fake"] == 5
    # The same as the folder of the first five alone.
    few = [write(tmp_path / "few" / side.name, {}) for side in (real, fake)]
    for name in order[:5]:
        for side, folder in zip((real, fake), few, strict=True):
            (folder / name).write_bytes((side / name).read_bytes())
    alone = entries(capsys, *few, *METRICS)
    assert {name: entry["value"] for name, entry in found.items()} == {n: e["value"] for n, e in alone.items()}
    assert hashes(found) == hashes(alone)
    (fake / order[1]).write_bytes(b"broken")
    mended = entries(capsys, real, fake, *words)
    assert mended["ssim"]["n"] == mended[RANDOM]["n_real"] == mended[RANDOM]["n_fake"] == 5
    assert [s["file"] for s in mended["ssim"]["skipped"]] == [order[1]]
    only = entries(capsys, real, fake, "--metrics", "ssim", *words[2:])["ssim"]
    assert (only["value"], only["key"]) == (mended["ssim"]["value"], mended["ssim"]["key"])
    for name in order[2:5]:
        (fake / name).write_bytes(b"broken")
    short = entries(capsys, real, fake, *words, code=1)
    assert "asks for 5 real and 5 generated clips, found 4 and 4" in short["ssim"]["reason"]
    assert "asks for 5 real and 5 generated clips, found 5 and 4" in short[RANDOM]["reason"]


def test_metrics_that_videos_cannot_feed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("evaluate: {metrics: {mask_ssim: {class_path: metrics.mask_score.MaskSSIM}}}", encoding="utf-8")
    found = entries(capsys, *two_folders(tmp_path, 2), "--protocol", file, code=1)
    assert found["mask_ssim"]["reason"] == "needs mask; videos give nothing but frames"
