"""What happens in each video: who moves how, seen from where. A row of uniform numbers a video decides it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from datamodules.errors import BenchError
from datamodules.stream import keyed_rng
from datamodules.synthetic.puppet.motions import load_motions

CameraMotion = Literal["static", "pan"]
IdentitySplit = Literal["disjoint", "shared"]
MotionSplit = Literal["shared", "phase", "held_out"]
SPLITS = ("train", "val", "test")
PHASES = {"train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0)}  # shares of each motion
HELD_OUT = 7  # of this many motions the last is for test, the one before for val; of 15, two each
PER_PERSON = 4  # draws: who, which motion, when, yaw
SWAY = (0.08, 0.22)  # metres that a panning camera swings to each side, beside following the person
SWING = (2.0, 4.5)  # seconds of such a swing


@dataclass(frozen=True)
class Scenes:
    """V videos of P persons each.

    Attributes:
        person: V P, identity's number in its split.
        motion: V P, number in `load_motions().names`.
        low, high: V P, seconds of the motion between which it is played; round and round if `loop` V P, else forth and
            back.
        start: V P, seconds.
        yaw: V P, whole degrees.
        tilt, zoom: V, radians and factor.
        place: V P 2: share of the image's width from its left, and metres towards the camera.
        sway, swing, swing_at: V, of a panning camera: metres, seconds, radians.
    """

    person: np.ndarray
    motion: np.ndarray
    low: np.ndarray
    high: np.ndarray
    loop: np.ndarray
    start: np.ndarray
    yaw: np.ndarray
    tilt: np.ndarray
    zoom: np.ndarray
    place: np.ndarray
    sway: np.ndarray
    swing: np.ndarray
    swing_at: np.ndarray

    def time(self, videos: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Seconds into the motions and seconds of travel, B P T, at `seconds` B T of `videos` B."""
        low, high, loop, start = (x[videos][..., None] for x in (self.low, self.high, self.loop, self.start))
        passed, span = start + seconds[:, None], high - low
        folded = span - np.abs(passed % (2 * span) - span)
        within = np.where(loop, passed % span, folded)
        # Rounding may give the span itself, which a loop's last sample also shows.
        return low + np.minimum(within, span), np.where(loop, passed, folded)


def allowed_motions(motions: list[str] | None) -> np.ndarray:
    """Numbers of the named motions, of all for None.

    Raises:
        BenchError: a name is unknown, or named twice.
    """
    names = list(load_motions().names)
    chosen = names if motions is None else motions
    if not chosen or len(set(chosen)) != len(chosen) or not set(chosen) <= set(names):
        raise BenchError(f"data.init_args.motions must name some of {names}, each once; found {motions}")
    return np.array([names.index(name) for name in chosen])


def split_motions(motions: np.ndarray, split: str, rule: MotionSplit) -> np.ndarray:
    """Those of `motions` that a split shows."""
    if rule != "held_out":
        return motions
    if len(motions) < 3:
        raise BenchError(f"data.init_args.motion_split=held_out needs at least 3 motions, found {len(motions)}")
    place = np.arange(len(motions)) % HELD_OUT
    period = min(HELD_OUT, len(motions))
    part = np.where(place == period - 1, "test", np.where(place == period - 2, "val", "train"))
    return motions[part == split]


def draw_scenes(
    split: str,
    stream: str,
    videos: int,
    seed: int,
    persons: int,
    identities: int,
    motions: np.ndarray,
    rule: MotionSplit,
    yaw: tuple[int, int],
    unlike: Scenes | None = None,
) -> Scenes:
    """Video i is the same however many there are. Other streams give other scenes, of the motions of the same split.

    Args:
        unlike: scenes whose persons are shown again, each in another motion where the split shows several.
    """
    bank = load_motions()
    drawn = keyed_rng("puppet", seed, split, stream, persons).random((videos, persons * PER_PERSON + 9))
    who, which, when, turn = drawn[:, : persons * PER_PERSON].reshape(videos, persons, PER_PERSON).transpose(2, 0, 1)
    rest = drawn[:, persons * PER_PERSON :].T
    shown = split_motions(motions, split, rule)
    choice = (which * len(shown)).astype(np.int64)
    if unlike is not None and len(shown) > 1:
        there = (unlike.motion[..., None] == shown).argmax(-1)
        choice = (there + 1 + (which * (len(shown) - 1)).astype(np.int64)) % len(shown)
    motion = shown[choice]
    low, high = PHASES[split] if rule == "phase" else (0.0, 1.0)
    seconds = bank.seconds[motion]
    loop = bank.loops[motion] & (rule != "phase")
    span = (high - low) * seconds
    person = (who * identities).astype(np.int64)
    if persons == 2 and identities > 1:  # nobody meets himself
        person[:, 1] = (person[:, 0] + 1 + (who[:, 1] * (identities - 1)).astype(np.int64)) % identities
    if unlike is not None:
        person = unlike.person
    place = np.zeros((videos, persons, 2))
    place[..., 0] = 0.5 + 0.1 * (rest[0, :, None] - 0.5)
    if persons == 2:  # beside one another, one of them nearer, in any order
        left, near = np.where(rest[1] < 0.5, -1, 1), np.where(rest[2] < 0.5, -1, 1)
        apart = (0.07 + 0.13 * rest[3]) * left
        place[..., 0] += np.stack([apart, -apart], axis=1)
        place[..., 1] = 0.45 * np.stack([near, -near], axis=1)
    return Scenes(
        person=person,
        motion=motion,
        low=low * seconds,
        high=high * seconds,
        loop=loop,
        start=when * np.where(loop, span, 2 * span),
        yaw=(yaw[0] + np.floor(turn * (yaw[1] - yaw[0]))).astype(np.int64) % 360,
        tilt=np.deg2rad(4 + 9 * rest[4]),
        zoom=0.92 + 0.16 * rest[5],
        place=place,
        sway=SWAY[0] + (SWAY[1] - SWAY[0]) * rest[6],
        swing=SWING[0] + (SWING[1] - SWING[0]) * rest[7],
        swing_at=2 * np.pi * rest[8],
    )
