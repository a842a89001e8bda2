"""Published layouts of frames that are many files each, with puppets and drawn faces in them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from datamodules.pose.face_box import write_face_box
from datamodules.pose.openpose_json import write_openpose
from datamodules.pose.people import People
from datamodules.pose.skeletons import BODY_25
from datamodules.pose.stick_edn import draw as draw_edn
from tests.datamodules.drawn_faces import talking
from tests.datamodules.frame_files import instances, save
from tests.datamodules.pair_files import annotate
from tests.datamodules.published_layouts import Film, film, jpg

PHASES = ("train", "test")


def _pairs(folder: Path, names: dict[str, list[str]], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Writes three pictures of each person, a third of a film apart, below `folder`; their poses by name."""
    poses = {}
    for number, pictures in enumerate(names.values()):
        known = film(number, 30, size, skeleton="openpose18")
        for place, name in enumerate(pictures):
            jpg(folder / name, known["video"][10 * place])
            poses[name] = np.ceil(known["pose"][0, 10 * place])  # whole pixels; hidden joints are there too
    return poses


def market(root: Path) -> None:
    base = root / "market1501"
    for phase, people in (("train", range(1, 4)), ("test", range(4, 7))):
        names = {str(p): [f"{p:04}_c{c}s1_{451 + c:06}_03.jpg" for c in (1, 2, 3)] for p in people}
        poses = _pairs(base / f"bounding_box_{phase}", names, (128, 64))
        annotate(base / f"market-annotation-{phase}.csv", poses)
        _write_pairs(base / f"market-pairs-{phase}.csv", names)


def deepfashion(root: Path) -> None:
    base = root / "deepfashion"
    for phase, people in (("train", range(1, 4)), ("test", range(4, 7))):
        stem, views = "fashionWOMENTees_Tanksid0000{:04}01_{}.jpg", ("1front", "2side", "3back")
        names = {str(p): [stem.format(p, view) for view in views] for p in people}
        annotate(base / f"fasion-annotation-{phase}.csv", _pairs(base / phase, names, (256, 256)))
        _write_pairs(base / f"fashion-pairs-{phase}.csv", names)


def _write_pairs(path: Path, names: dict[str, list[str]]) -> None:
    path.write_text("from,to\n" + "".join(f"{n[0]},{n[1]}\n{n[1]},{n[2]}\n" for n in names.values()))


def _street(number: int, frames: int) -> Film:
    """Two puppets before a wall, as classes 7 and from 24 on, numbered as Cityscapes numbers its objects."""
    known = film(number, frames, (96, 192), persons=2)
    known["labels"] = np.where(known["labels"] > 0, known["labels"] % 10 + 24, 7).astype(np.uint8)
    return known


def cityscapes(root: Path) -> None:
    base = root / "cityscapes"
    for phase, city in (("train", "aachen"), ("val", "frankfurt")):
        known = _street(len(city) % 8, 30)
        for t, pixels in enumerate(known["video"]):
            name = f"{city}/{city}_000000_{t:06}"
            save(base / f"leftImg8bit_sequence/{phase}/{name}_leftImg8bit.png", pixels)
            if t == 19:
                save(base / f"gtFine/{phase}/{name}_gtFine_labelIds.png", known["labels"][t])
                save(base / f"gtFine/{phase}/{name}_gtFine_instanceIds.png", instances(known["labels"][t]))


def pix2pixhd(root: Path) -> None:
    for phase in PHASES:
        known = _street(PHASES.index(phase), 4)
        for t in range(4):
            _map_files(root / "cityscapes_pix2pixhd", (f"{phase}_img", f"{phase}_label", f"{phase}_inst"), t, known)


def vid2vid_street(root: Path) -> None:
    for phase in PHASES:
        for sequence in range(2):
            known = _street(sequence, 8)
            kinds = (f"{phase}_B/s{sequence}", f"{phase}_A/s{sequence}", f"{phase}_inst/s{sequence}")
            for t in range(8):
                _map_files(root / "cityscapes_vid2vid", kinds, t, known)


def _map_files(base: Path, folders: tuple[str, str, str], t: int, known: Film) -> None:
    for folder, pixels in zip(
        folders, (known["video"][t], known["labels"][t], instances(known["labels"][t])), strict=True
    ):
        save(base / folder / f"a_{t:06}.png", pixels)


def everybody_dance(root: Path) -> None:
    """Pictures of 512 x 256; face boxes are in 1024 x 512."""
    for phase in PHASES:
        known = film(PHASES.index(phase), 4, (256, 512))
        drawn = draw_edn(People.of(BODY_25, known["pose"].swapaxes(0, 1)), 256, 512)
        for t, pixels in enumerate(known["video"]):
            base, name = root / "everybody_dance", f"frame{t:06}"
            save(base / f"{phase}_img/{name}.png", pixels)
            save(base / f"{phase}_label/{name}.png", drawn[t])
            path = base / f"{phase}_facetexts128/{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_face_box(path, _box(known["face_box"][t]))


def _box(face: np.ndarray) -> np.ndarray:
    """128 x 128 around the middle of a box of 512 x 256, within 1024 x 512."""
    y, x = 2 * face[:2].mean(), 2 * face[2:].mean()
    top, left = int(np.clip(y - 64, 0, 384)), int(np.clip(x - 64, 0, 896))
    return np.array([top, top + 128, left, left + 128])


def vid2vid_pose(root: Path) -> None:
    base = root / "dance_vid2vid"
    for phase in PHASES:
        known = film(PHASES.index(phase), 13, (128, 228))
        for t, pixels in enumerate(known["video"]):
            save(base / f"{phase}_img/s/{t:05}.png", pixels)
            path = base / f"{phase}_openpose/s/{t:05}_keypoints.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_openpose(path, People.of(BODY_25, known["pose"][:, t][None]))
            parts = known["labels"][t]
            iuv = np.stack([np.full_like(parts, 60), np.full_like(parts, 120), parts], -1)
            save(base / f"{phase}_densepose/s/{t:05}_IUV.png", np.where(parts[..., None] > 0, iuv, 0).astype(np.uint8))


def vid2vid_face(root: Path) -> None:
    for phase in PHASES:
        frames, points = talking(14, 360, 480)
        for t, pixels in enumerate(frames):
            save(root / f"face_vid2vid/{phase}_img/s/{t:05}.png", pixels)
            path = root / f"face_vid2vid/{phase}_keypoints/s/{t:05}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(f"{x:.2f},{y:.2f}" for x, y in points[t]))


FRAME_LAYOUTS: dict[str, Callable[[Path], None]] = {
    "cityscapes": cityscapes,
    "cityscapes_annotated": cityscapes,
    "deepfashion": deepfashion,
    "deepfashion_pg2": deepfashion,
    "everybody_dance": everybody_dance,
    "market": market,
    "market_pg2": market,
    "pix2pixhd": pix2pixhd,
    "vid2vid_face": vid2vid_face,
    "vid2vid_pose": vid2vid_pose,
    "vid2vid_pose_flow": vid2vid_pose,
    "vid2vid_street": vid2vid_street,
    "vid2vid_street_flow": vid2vid_street,
}
