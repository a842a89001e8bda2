"""Every published layout with puppets in it, so that a config can be run, and its sheet looked at, without the set."""

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np

from datamodules.synthetic.moving_digits import MovingDigits
from datamodules.synthetic.puppet.kept import BatchPuppets
from tests.datamodules.frame_files import save
from tests.datamodules.published_files import write_video
from tests.datamodules.strip_files import save_strip
from tests.datamodules.tfrecord_files import Values, example, write

KEYS = frozenset({"video", "pose", "labels", "instances", "mask", "face_box"})
Film = dict[str, np.ndarray]


@lru_cache
def _puppets(frames: int, size: tuple[int, int], skeleton: str, persons: int) -> BatchPuppets:
    return BatchPuppets("train", 8, length=frames, size=size, skeleton=skeleton, persons=persons)


def film(
    number: int, frames: int = 34, size: tuple[int, int] = (96, 96), skeleton: str = "body25", persons: int = 1
) -> Film:
    """One puppet video: `video` T H W 3, `pose` P T J 3, `labels`, `instances` and `mask` T H W, `face_box` T 4."""
    puppets = _puppets(frames, size, skeleton, persons)
    known = puppets.tracks(np.array([number]), np.arange(frames)[None], KEYS)
    out = {key: values[0] for key, values in known.items()}
    out["video"] = out["video"].transpose(1, 2, 3, 0)  # C T H W -> T H W C
    out["mask"] = out["mask"].reshape(frames, *size)
    return out


def _videos(folder: Path, names: Iterable[str], frames: int = 34, codec: str = "libx264", side: int = 96) -> None:
    for number, name in enumerate(names):
        write_video(folder / name, film(number % 8, frames, (side, side))["video"], codec=codec)


def jpg(path: Path, pixels: np.ndarray) -> None:
    """PNG content under a name that ends in .jpg: no loss, and readers go by content."""
    save(path.with_suffix(".png"), pixels).rename(path)


def folder(root: Path) -> None:
    _videos(root / "videos", [f"{label}/{number}.mp4" for label in ("jump", "walk") for number in range(4)])


def kth(root: Path) -> None:
    actions = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
    names = [f"person{person:02}_{action}_d1" for action in actions for person in (1, 21)]
    _videos(root / "kth", [f"{name.split('_')[1]}/{name}_uncomp.avi" for name in names], codec="rawvideo")
    (root / "kth" / "00sequences.txt").write_text("\n".join(f"{name}\t\tframes\t1-34" for name in names))


def weizmann_videos(root: Path) -> None:
    actions = ("bend", "jack", "jump", "pjump", "run", "side", "skip", "walk", "wave1", "wave2")
    for number, action in enumerate(actions):
        pixels = film(number % 8, 51, (144, 144))["video"]
        wide = np.pad(pixels, ((0, 0), (0, 0), (18, 18), (0, 0)), mode="edge")  # 180 columns
        write_video(root / "weizmann" / action / f"daria_{action}.avi", wide, codec="rawvideo")


def ucf101(root: Path) -> None:
    base = root / "ucf101"
    names = [f"{c}/v_{c}_g{group:02}_c01.avi" for c in ("Archery", "TaiChi") for group in range(1, 5)]
    _videos(base / "UCF-101", names, codec="rawvideo")
    lists = base / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Archery\n2 TaiChi\n")
    train, test = [n for n in names if "_g01_" not in n], [n for n in names if "_g01_" in n]
    (lists / "trainlist01.txt").write_text("\n".join(f"{n} {1 + n.startswith('T')}" for n in train))
    (lists / "testlist01.txt").write_text("\n".join(test))


def mug(root: Path) -> None:
    expressions = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    for number, expression in enumerate(expressions):
        for t, pixels in enumerate(film(number, 64, (64, 64))["video"]):
            jpg(root / f"mug/subjects3/002/{expression}/take000/img_{t:04}.jpg", pixels)


def taichi(root: Path) -> None:
    names = [f"train/{name}#{start:06}#{start + 34:06}.mp4" for name in "abc" for start in (0, 50)]
    _videos(root / "taichi", [*names, "test/d#000000#000034.mp4"])


def faceforensics(root: Path) -> None:
    base = root / "faceforensics"
    _videos(base / "original_sequences/youtube/c23/videos", [f"{n:03}.mp4" for n in range(6)], side=128)
    for split, pair in {"train": ["000", "003"], "val": ["001", "002"], "test": ["004", "005"]}.items():
        (base / "splits").mkdir(exist_ok=True)
        (base / "splits" / f"{split}.json").write_text(json.dumps([pair]))


def tiny_videos(root: Path) -> None:
    paths = [f"0/v{number}.mp4/0001.jpg" for number in range(6)]
    for number, path in enumerate(paths):
        save_strip(root / "tiny_videos/frames-stable-many" / path, film(number)["video"], vertical=True)
    (root / "tiny_videos/golf.txt").write_text("\n".join(paths))


def chairs(root: Path) -> None:
    """Puppets on white instead of chairs: a turn is a film of 31 frames."""
    for model in range(2):
        turn = film(model, 31)
        pixels = np.where(turn["mask"][..., None] > 127, turn["video"], np.uint8(255))
        for number in range(62):
            name = f"image_{number:03}_p{20 + 10 * (number // 31):03}_t{number % 31 * 360 // 31:03}_r096.png"
            save(root / "rendered_chairs" / f"{model:032x}" / "renders" / name, pixels[number % 31])


def bair(root: Path) -> None:
    for number, file in enumerate(("train/traj_0_to_0", "train/traj_256_to_256", "test/traj_0_to_0")):
        features: dict[str, Values] = {}
        for t, pixels in enumerate(film(number, 30, (64, 64))["video"]):
            for camera in ("image_main", "image_aux1"):
                features[f"{t}/{camera}/encoded"] = [pixels.tobytes()]
            features[f"{t}/action"], features[f"{t}/endeffector_pos"] = np.zeros(4, "f4"), np.zeros(3, "f4")
        write(root / "softmotion30_44k" / f"{file}.tfrecords", [example(features)])


def moving_mnist(root: Path) -> None:
    clips = MovingDigits(frames=20).eval_batch("train", range(40), 20, 1, 0)["video"][:, 0]  # N T H W
    (root / "moving_mnist").mkdir()
    np.save(root / "moving_mnist/mnist_test_seq.npy", clips.numpy().swapaxes(0, 1))


def shape_strips(root: Path) -> None:
    _strips(root / "shape_motion_strips", "01", 8)


def weizmann(root: Path) -> None:
    _strips(root / "weizmann_strips", "0134", 72)


def _strips(folder: Path, categories: str, count: int) -> None:
    paths = [folder / categories[n % len(categories)] / f"{n:08}.png" for n in range(count)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < 8:
            save_strip(path, film(number, 34, (64, 64))["video"])
        else:
            path.symlink_to(paths[number % 8])


VIDEO_LAYOUTS: dict[str, Callable[[Path], None]] = {
    "bair": bair,
    "chairs": chairs,
    "faceforensics": faceforensics,
    "folder": folder,
    "kth": kth,
    "moving_mnist": moving_mnist,
    "mug": mug,
    "shape_strips": shape_strips,
    "taichi": taichi,
    "tiny_videos": tiny_videos,
    "ucf101": ucf101,
    "weizmann": weizmann,
    "weizmann_videos": weizmann_videos,
}
