import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.errors import BenchError
from datamodules.synthetic.puppet.data import Puppet
from experiments import cli, data
from tests.datamodules.strip_files import noise_video, save_strip
from tests.datamodules.test_folder import save
from tests.datamodules.video_files import cut, write_video

ROOT = Path(__file__).parents[2]


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three videos: sound, worth a warning, broken."""
    monkeypatch.setenv("REELBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "videos" / "walk").mkdir(parents=True)
    write_video(tmp_path / "videos" / "walk" / "a.mp4")
    write_video(tmp_path / "videos" / "walk" / "b.mp4", times=[40 * n + 80 * (n > 20) for n in range(30)])
    film = write_video(tmp_path / "film.gif", codec="gif", pixels="rgb8")
    cut(film, tmp_path / "videos" / "walk" / "c.gif", 0.6)
    return tmp_path / "videos"


def test_check_says_what_is_wrong(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(["check", str(videos)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"ok          30 frames  {videos}/walk/a.mp4"
    assert lines[1].startswith(f"warning     30 frames  {videos}/walk/b.mp4: variable frame rate")
    assert lines[2].startswith(f"error       18 frames  {videos}/walk/c.gif: cut off")
    assert lines[3:] == ["3 videos: 1 ok, 1 warning, 1 error"]


def test_check_as_json(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(["check", str(videos), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"files"} and [set(f) for f in found["files"]] == [{"path", "status", "frames", "reason"}] * 3
    assert [(f["status"], f["frames"], bool(f["reason"])) for f in found["files"]] == [
        ("ok", 30, False),
        ("warning", 30, True),
        ("error", 18, True),
    ]


def test_check_of_one_file_a_strip_and_a_table(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(["check", str(videos / "walk" / "b.mp4")]) == 0  # a warning is no error
    save_strip(videos / "strip.png", noise_video(0, 9))
    assert data.main(["check", str(videos / "strip.png")]) == 0
    (videos / "text.txt").write_text("no video")
    assert data.main(["check", str(videos / "text.txt")]) == 1
    (videos / "manifest.csv").write_text("path,start,end\nwalk/a.mp4,3,9\nwalk/a.mp4,20,40\n")
    assert data.main(["check", str(videos / "manifest.csv")]) == 1
    out = capsys.readouterr().out
    assert "ok           6 frames" in out and "a.mp4[3:9]" in out and "ok           9 frames" in out
    assert "a.mp4[20:40]: frames 20:40 were asked for, but it has 30" in out
    with pytest.raises(BenchError, match="no such file or folder"):
        data.main(["check", str(videos / "nothing")])


def test_build_then_verify(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(20):
        save(tmp_path / "set" / "run" / f"{number}.npy", number)
    words = ["data/folder", "--data.root", str(tmp_path / "set"), "--data.size=8"]
    with pytest.raises(BenchError, match="no cache of these files"):
        data.main(["verify", *words])
    assert data.main(["build", *words, "--stage-to", str(tmp_path / "node")]) == 0
    (copy,) = (tmp_path / "node").glob("videos-*")
    assert capsys.readouterr().out == f"{copy}: 20 videos, 400 frames, 76.8 kB, 0 skipped, 0 dropped, 0 cut off\n"
    assert data.main(["verify", *words]) == 0
    folder = tmp_path / "cache" / copy.name
    assert capsys.readouterr().out == f"{folder}: 20 of 20 videos are as they were written\n"
    frames = bytearray((folder / "frames.u8").read_bytes())
    frames[-1] ^= 1
    (folder / "frames.u8").write_bytes(frames)
    assert data.main(["verify", *words]) == 1
    told = capsys.readouterr()
    assert "damaged: run/9.npy: " in told.out and "19 of 20 videos are as they were written" in told.out
    assert "delete the folder" in told.err


def test_generated_data_need_no_build(capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(["build", "data/shape_motion"]) == data.main(["verify", "data/shape_motion"]) == 0
    assert "shape_motion is generated: there is nothing to" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build", "data/foldr"], "did you mean 'data/folder'?"),
        (["build", "method/mocogan"], "a data config has the key data, found name, model"),
        (["build", "data/folder", "--data.rot", "x"], "Option 'rot' is not accepted, did you mean 'root'?"),
        (["build", "data/folder", "--frob"], "nrecognized arguments: --frob"),
        (["check", "a", "--frob"], "unrecognized arguments: --frob"),
        (["shwo"], "invalid choice: 'shwo'"),
        ([], "required: ACTION"),
    ],
)
def test_mistakes_in_one_message(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main(["data", *words])
    except SystemExit as error:
        code = int(str(error.code))
    told = capsys.readouterr().err
    assert code == 2 and message in told and "Traceback" not in told


def test_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        data.main(["check", "--help"])
    assert "exit code: 0 all can be used" in " ".join(capsys.readouterr().out.split())


def test_check_imports_neither_torch_nor_lightning(videos: Path) -> None:
    code = (
        "import sys; from experiments.cli import main; code = main(['data', 'check', sys.argv[1], '--json']); "
        "print(sorted({'torch', 'lightning', 'jsonargparse'} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(videos)], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    assert (done.returncode, done.stderr) == (1, "[]\n")


def test_show_draws_clips_with_the_limbs_of_their_skeleton(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REELBENCH_CACHE", str(tmp_path / "cache"))
    small = ["--data.train_videos", "2", "--data.video_frames", "4", "--data.init_args.frames", "4"]
    assert data.main(["show", "data/puppet", "-o", str(tmp_path / "a.png"), "--n", "1", "--columns", "1", *small]) == 0
    assert "1 clips of puppet (train)" in capsys.readouterr().out
    with_limbs = np.asarray(Image.open(tmp_path / "a.png")).astype(int)
    monkeypatch.setattr(Puppet, "limbs", ())
    data.main(["show", "data/puppet", "-o", str(tmp_path / "b.png"), "--n", "1", "--columns", "1", *small])
    changed = (np.asarray(Image.open(tmp_path / "b.png")) != with_limbs).any(-1)
    assert 50 < changed.sum() < 1500 and not changed[: len(changed) // 2].any()  # in the row of the pose alone


@pytest.mark.parametrize(("word", "said"), [("--n=0", "--n must be at least 1, found 0"), ("-o=a.jpg", "end in .png")])
def test_show_refuses_what_it_cannot_draw(word: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=said):
        data.main(["show", "data/shape_motion", "-o", str(tmp_path / "a.png"), word])
