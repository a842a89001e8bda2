import numpy as np
import pytest

from datamodules.synthetic.puppet.body import LIMBS, POINT
from datamodules.synthetic.puppet.geometry import Camera, Limbs, limbs
from datamodules.synthetic.puppet.identity import BLUR, COLUMNS, ROWS, draw_identities, prefiltered
from datamodules.synthetic.puppet.raster import fragments, order
from datamodules.synthetic.puppet.room import blend, chunks
from datamodules.synthetic.puppet.shade import AMBIENT, DIFFUSE, LAYERS, Skin, layers
from tests.datamodules.puppet.puppet_scenes import seen

FACE = list(LIMBS).index("face")
WHOLE = np.zeros((1, 1), dtype=np.int64)


def upright(yaw: float) -> Limbs:
    """All limbs on one vertical axis, turned, seen level, 100 pixels a metre."""
    points, fronts = np.zeros((1, len(POINT), 3), np.float32), np.zeros((1, 16, 3), np.float32)
    points[:, POINT["jaw"], 1], points[:, POINT["skull"], 1], fronts[..., 0] = 1.0, 1.5, 1
    still = np.zeros(1)
    return limbs(points, fronts, np.ones(1), Camera(still + yaw, still, still + 100.0, still + 50, still + 190, still))


def atlas() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 200, (1, 16, 2, ROWS, COLUMNS, 3)).astype(np.float32)


def value(limb: Limbs, texels: np.ndarray, t: float, e: float, v: float) -> np.ndarray:
    of = [np.array([x], dtype=np.float32) for x in (t, e, v)]
    return Skin(limb, texels, WHOLE).colour(np.array([FACE]), *of)[0]


def test_what_is_not_lit_keeps_its_brightness() -> None:
    texels = np.full((1, 16, 2, ROWS, COLUMNS, 3), 80, dtype=np.float32)
    t, e, v = np.array([[0.5, 0.5], [0, 0], [0, 0.95]], dtype=np.float32)
    limb = np.array([FACE, FACE])
    lit = Skin(upright(0.4), texels, WHOLE).colour(limb, t, e, v)
    np.testing.assert_allclose(lit[0] - lit[1], 80 * DIFFUSE * (1 - np.sqrt(1 - 0.95**2)), rtol=1e-4)
    np.testing.assert_allclose(Skin(upright(0.4), texels, WHOLE, lit=False).colour(limb, t, e, v), 80)


@pytest.mark.parametrize(("yaw", "side"), [(0.0, 0), (np.pi, 1)])
def test_the_front_is_seen_from_the_front(yaw: float, side: int) -> None:
    texels = np.zeros((1, 16, 2, ROWS, COLUMNS, 3), np.float32)
    texels[:, :, 0], texels[:, :, 1] = [200, 0, 0], [0, 100, 0]
    expected = np.array([[200, 0, 0], [0, 100, 0]])[side] * (AMBIENT + DIFFUSE)
    np.testing.assert_allclose(value(upright(yaw), texels, 0.5, 0, 0), expected, rtol=1e-5)


def test_half_of_each_side_is_seen_from_aside() -> None:
    """A person who faces the image's right edge shows his front in the right half. The axis runs upwards, v leftwards
    of it is negative.
    """
    texels = np.zeros((1, 16, 2, ROWS, COLUMNS, 3), np.float32)
    texels[:, :, 0] = 200
    aside = upright(np.pi / 2)
    right = float(-np.sign(aside.uy[0, FACE]))  # v of the image's right
    assert aside.uy[0, FACE] == -1 and value(aside, texels, 0.5, 0, right * 0.5)[0] > 100
    assert value(aside, texels, 0.5, 0, -right * 0.5)[0] == 0


def test_colours_are_bilinear_between_texels() -> None:
    texels, limb, rng = atlas(), upright(0.0), np.random.default_rng(1)
    for _ in range(50):
        row, column = rng.integers(ROWS - 1), rng.integers(COLUMNS - 1)
        down, aside = rng.random(2)
        along, across = (row + down) * 3 / ROWS - 1, (column + aside + 0.5) * 2 / COLUMNS - 1
        t = float(np.clip(along, 0, 1))
        corners = texels[0, FACE, 0, row : row + 2, column : column + 2].astype(float)
        expected = np.einsum("i,j,ijc->c", [1 - down, down], [1 - aside, aside], corners)
        light = AMBIENT + DIFFUSE * np.sqrt((1 - across**2) * (1 - (along - t) ** 2))
        v = across * float(limb.c[0, FACE])  # facing the camera, or mirrored: c is 1
        np.testing.assert_allclose(value(limb, texels, t, along - t, v), np.minimum(expected * light, 255), atol=0.02)


def test_layers_are_composed_from_the_front() -> None:
    """All fragments of each pixel, nearest first, by the over operator."""
    drawn = seen(4, 48, 48)
    person = np.zeros((4, 1), dtype=np.int64)
    skin = Skin(drawn, atlas(), person)
    found = fragments(drawn, 48, 48)
    surface, paint = layers(found, skin)
    near, _ = order(found)
    colours = skin.colour(found.limb, found.t, found.e, found.v)
    at = {int(pixel): i for i, pixel in enumerate(paint.pixel)}
    left, colour, many = np.ones(len(at)), np.zeros((len(at), 3)), np.zeros(len(at), dtype=int)
    centres: dict[int, int] = {}
    for k in near.tolist():
        i = at[int(found.pixel[k])]
        if many[i] < LAYERS:
            colour[i] += left[i] * found.cover[k] * colours[k]
            left[i] *= 1 - found.cover[k]
        many[i] += 1
        if found.cover[k] > 0.5:
            centres.setdefault(int(found.pixel[k]), int(found.limb[k]))
    np.testing.assert_allclose(paint.cover, 1 - left, atol=1e-5)
    np.testing.assert_allclose(paint.colour, colour, atol=0.01)
    assert (many > 3).any() and dict(zip(surface.pixel.tolist(), surface.limb.tolist(), strict=True)) == centres


def test_blending_keeps_and_adds() -> None:
    room = np.random.default_rng(0).integers(0, 200, (2, 3, 4, 5, 6), dtype=np.uint8)
    before = room.copy()
    pixel = np.array([0, 7, 4 * 30 + 2, 2 * 4 * 30 - 1])  # frames 0, 0, 4 (the second clip's first), 7
    blend(room, pixel, np.full(4, 0.5), np.array([[10.0, 20, 30]] * 4))
    places = [(0, 0, 0, 0), (0, 0, 1, 1), (1, 0, 0, 2), (1, 3, 4, 5)]
    for clip, time, y, x in places:
        expected = np.rint(before[clip, :, time, y, x] * 0.5 + [10, 20, 30])
        np.testing.assert_array_equal(room[clip, :, time, y, x], expected)
        room[clip, :, time, y, x] = before[clip, :, time, y, x]
    np.testing.assert_array_equal(room, before)


def test_chunks_cover_all_frames_once() -> None:
    assert chunks(0, 4096) == [slice(0, 0)] and chunks(3, 10**9) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    parts = chunks(200, 4096)
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(200)) and len(parts) > 1


def test_persons_are_functions_of_their_key() -> None:
    some = draw_identities([(0, "train", 1), (0, "train", 2)], "cloth", 30)
    more = draw_identities([(0, "train", 2), (0, "val", 2), (1, "train", 2)], "cloth", 30)
    np.testing.assert_array_equal(some.atlas[1], more.atlas[0])
    assert len({atlas.tobytes() for atlas in (*some.atlas, *more.atlas[1:])}) == 4
    assert some.atlas.min() >= 0 and some.atlas.max() <= 255
    assert (np.abs(some.factors - 1) <= 0.1).all() and (some.factors[:, 3] == 1).all()


def waves(period: float) -> np.ndarray:
    """A wave of `period` texels around the limbs, over the front and then over the back."""
    ring = 100 + 50 * np.cos(2 * np.pi * np.arange(2 * COLUMNS) / period)
    sides = np.stack([ring[:COLUMNS], ring[COLUMNS:][::-1]])
    return np.broadcast_to(sides[None, None, :, None, :, None], (1, 16, 2, ROWS, COLUMNS, 3)).copy()


@pytest.mark.parametrize("period", [4, 8, 16, 32])
def test_waves_finer_than_pixels_vanish_from_textures(period: int) -> None:
    """A Gaussian of deviation s leaves exp(-2 pi^2 s^2 / p^2) of a wave of p pixels."""
    scale = 30.0
    chest = list(LIMBS).index("chest")
    texel = 2 * scale * (0.128 + 0.15) / 2 / COLUMNS  # pixels from one to the next around the limb
    got = prefiltered(waves(period), scale)[0, chest, :, ROWS // 2, :, 0]
    left = np.exp(-2 * (np.pi * BLUR / (period * texel)) ** 2)
    assert 0.001 < left < 0.97
    np.testing.assert_allclose(got - 100, left * (waves(period)[0, chest, :, 0, :, 0] - 100), atol=0.1)


def test_coarse_textures_stay_as_they_are() -> None:
    texels = atlas()
    np.testing.assert_allclose(prefiltered(np.full_like(texels, 80), 30), 80, rtol=1e-5)
    np.testing.assert_allclose(prefiltered(texels, 3000), texels, atol=0.5)  # a texel takes many pixels
    along = np.zeros_like(texels)
    along[:, :, :, ROWS // 2 :] = 100  # an edge across the limb: it is as soft as around
    soft = prefiltered(along, 30)[0, list(LIMBS).index("right_thigh"), 0, :, 3, 0]
    assert (np.diff(soft) >= -1e-4).all() and soft[2] < 1 and soft[-2] > 99
    half = ROWS // 2  # the edge lies midway before it, 0.79 pixels away
    assert 2 < soft[half - 1] < 20 and soft[half - 1] + soft[half] == pytest.approx(100, abs=0.1)
