"""Against plain loops over digits and frames that are written from the published rules alone."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import stats

from datamodules.synthetic.bouncing import EVENTS, Rule, paths

RULES: tuple[Rule, Rule] = ("svg", "srvp")


def uniform(rule: Rule, digits: int, frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((digits, 2 + frames * EVENTS[rule], 2))


def whole(u: float, low: int, high: int) -> int:
    return low + int(u * (high - low + 1))


def by_hand_svg(u: np.ndarray, limit: int, speed: int, stochastic: bool) -> tuple[list[tuple[int, int]], list[bool]]:
    """Corners of one digit, and in which frames it met a wall."""
    sy, sx = whole(u[0, 0], 0, limit - 1), whole(u[0, 1], 0, limit - 1)
    dy, dx = whole(u[1, 0], -speed, speed), whole(u[1, 1], -speed, speed)
    corners, walls = [], []
    for y_row, x_row in u[2:].reshape(-1, 2, 2):
        walls.append(not (0 <= sy < limit and 0 <= sx < limit))
        if sy < 0:
            sy, dy, dx = 0, *bounced(y_row, dy, dx, +1, speed, stochastic)
        elif sy >= limit:
            sy, dy, dx = limit - 1, *bounced(y_row, dy, dx, -1, speed, stochastic)
        if sx < 0:
            sx, dx, dy = 0, *bounced(x_row, dx, dy, +1, speed, stochastic)
        elif sx >= limit:
            sx, dx, dy = limit - 1, *bounced(x_row, dx, dy, -1, speed, stochastic)
        corners.append((sy, sx))
        sy, sx = sy + dy, sx + dx
    return corners, walls


def bounced(row: np.ndarray, normal: int, tangential: int, sign: int, speed: int, stochastic: bool) -> tuple[int, int]:
    if stochastic:
        return sign * whole(row[0], 1, speed), whole(row[1], -speed, speed)
    return -normal, tangential


def by_hand_srvp(u: np.ndarray, limit: int, speed: int, stochastic: bool) -> tuple[list[list[Fraction]], list[int]]:
    """Exact corners of one digit in rational numbers, and bounces in each frame."""
    at = [Fraction(whole(u[0, axis], 0, limit)) for axis in (0, 1)]
    velocity = [whole(u[1, axis], -speed, speed) for axis in (0, 1)]
    corners, bounces = [], []
    for rows in u[2:].reshape(-1, EVENTS["srvp"], 2):
        corners.append(list(at))
        left, met = Fraction(1), 0
        while left > 0:
            if met == len(rows):
                break
            waits = []
            for axis in (0, 1):
                v = velocity[axis]
                room = at[axis] if v < 0 else limit - at[axis]
                waits.append(room / abs(v) if v and room < abs(v) * left else None)
            soonest = min((w for w in waits if w is not None), default=None)
            if soonest is None:
                at = [a + v * left for a, v in zip(at, velocity, strict=True)]
                break
            at = [a + v * soonest for a, v in zip(at, velocity, strict=True)]
            left -= soonest
            old = velocity
            velocity = [whole(rows[met][axis], -speed, speed) for axis in (0, 1)] if stochastic else list(old)
            for axis in (0, 1):
                if waits[axis] == soonest:
                    velocity[axis] = abs(velocity[axis]) if old[axis] < 0 else -abs(velocity[axis])
            met += 1
        bounces.append(met)
    return corners, bounces


@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize(("travel", "speed"), [(32, 4), (8, 1), (5, 4), (64, 8)])
def test_svg_rule_digit_by_digit(stochastic: bool, travel: int, speed: int) -> None:
    drawn = uniform("svg", 300, 40)
    corners, walls = zip(*(by_hand_svg(row, travel, speed, stochastic) for row in drawn), strict=True)
    got, bounces = paths("svg", drawn, travel, speed, stochastic)
    np.testing.assert_array_equal(got, corners)
    np.testing.assert_array_equal(bounces, walls)


@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize(("travel", "speed"), [(36, 4), (9, 1), (72, 8)])
def test_srvp_rule_digit_by_digit(stochastic: bool, travel: int, speed: int) -> None:
    """Rational arithmetic: the drawn corner is the exact one rounded, within the rounding of float64."""
    drawn = uniform("srvp", 200, 30)
    got, bounces = paths("srvp", drawn, travel, speed, stochastic)
    by_hand = [by_hand_srvp(row, travel, speed, stochastic) for row in drawn]
    exact = np.array([[[float(a) for a in c] for c in corners] for corners, _ in by_hand])
    np.testing.assert_array_equal(bounces, [met for _, met in by_hand])
    assert np.abs(got - exact).max() <= 0.5 + 1e-9
    if stochastic and speed > 1:
        assert (np.abs(exact - np.rint(exact)) > 0.1).mean() > 0.2  # places between pixels are reached
    assert got[:, 0].tolist() == exact[:, 0].tolist()


def test_a_digit_in_an_srvp_corner_stays_inside_and_rests_after_the_last_bounce() -> None:
    """Drawn so that it flies at the other wall after each bounce."""
    drawn = uniform("srvp", 1, 2)
    drawn[0, 0] = 0  # in the corner
    drawn[0, 1] = [0.0, 0.8]  # y -4, x 3
    drawn[0, 2:, :] = 0  # both speeds -4 after each bounce: the one is turned, the other flies at its wall
    got, met = paths("srvp", drawn, 36, 4, True)
    corners, bounces = by_hand_srvp(drawn[0], 36, 4, True)
    assert bounces == met[0].tolist() == [EVENTS["srvp"]] * 2
    assert got[0].tolist() == np.array(corners, dtype=float).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("rule", ["svg", "srvp"])
@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize(("travel", "speed"), [(32, 4), (36, 4), (8, 1), (9, 1), (128, 16)])
def test_no_digit_leaves_the_canvas_and_all_of_it_is_reached(
    rule: Rule, stochastic: bool, travel: int, speed: int
) -> None:
    at, _ = paths(rule, uniform(rule, 3000, 60), travel, speed, stochastic)
    last = travel - 1 if rule == "svg" else travel  # the official clamp is one short of the wall
    assert (at.min(), at.max()) == (0, last)
    step = int(np.abs(np.diff(at, axis=1)).max())
    assert step == speed or (rule == "srvp" and step == speed + 1)  # rounded up at one end, down at the other


@pytest.mark.parametrize(("rule", "places"), [("svg", 32), ("srvp", 37)])
def test_starts_and_first_steps_are_uniform(rule: Rule, places: int) -> None:
    travel = {"svg": 32, "srvp": 36}[rule]
    at, _ = paths(rule, uniform(rule, 40_000, 2), travel, 4, True)
    for axis in (0, 1):
        counts = np.bincount(at[:, 0, axis], minlength=places)
        assert len(counts) == places and stats.chisquare(counts).pvalue > 1e-3
        free = at[(at[:, 0] >= 4).all(1) & (at[:, 0] < travel - 4).all(1)]
        steps = free[:, 1, axis] - free[:, 0, axis]
        assert stats.chisquare(np.bincount(steps + 4, minlength=9)).pvalue > 1e-3
    together = np.bincount(at[:, 0, 0] // 8 * 5 + at[:, 0, 1] // 8, minlength=25).reshape(5, 5)[:4, :4]
    assert stats.chi2_contingency(together).pvalue > 1e-3


@pytest.mark.parametrize(("frames", "mean", "never"), [(15, 1.78, 0.072), (30, 3.57, 0.016)])
def test_svg_digits_bounce_as_often_as_measured_elsewhere(frames: int, mean: float, never: float) -> None:
    """Figures of another simulation of the rule, of unknown size: frames with a bounce, a corner counted once."""
    drawn = uniform("svg", 4000, frames, seed=1)
    corners, walls = zip(*(by_hand_svg(row, 32, 4, True) for row in drawn), strict=True)
    np.testing.assert_array_equal(paths("svg", drawn, 32, 4, True)[0], corners)  # so what is counted is what is drawn
    met = np.sum(walls, axis=1)
    assert abs(np.mean(met) - mean) < 4 * np.std(met) / 4000**0.5
    assert abs(np.equal(met, 0).mean() - never) < 4 * (never / 4000) ** 0.5 + 0.002


def test_srvp_digits_rarely_need_more_bounces_than_there_are() -> None:
    """Each further bounce of a frame is about half as frequent as the one before: 4 of 10^4 frames need 4, so that
    there are none left after 24 about once in 10^10 frames.
    """
    bounces = np.concatenate([by_hand_srvp(row, 36, 4, True)[1] for row in uniform("srvp", 1500, 30, seed=2)])
    share = np.bincount(bounces, minlength=24) / len(bounces)
    assert 0.09 < share[1] < 0.11 and share[2:].sum() < 0.01 and share[4:].sum() < 0.0015 and share[12:].sum() == 0


@pytest.mark.parametrize("rule", ["svg", "srvp"])
def test_deterministic_digits_repeat_from_start_and_velocity_alone(rule: Rule) -> None:
    drawn: Any = uniform(rule, 50, 20)
    other = drawn.copy()
    other[:, 2:] = 0.5
    for one, same in zip(paths(rule, drawn, 32, 4, False), paths(rule, other, 32, 4, False), strict=True):
        np.testing.assert_array_equal(one, same)
    assert (paths(rule, drawn, 32, 4, True)[0] != paths(rule, other, 32, 4, True)[0]).any()


def test_no_digits_have_no_paths() -> None:
    for rule, travel in ((RULES[0], 32), (RULES[1], 36)):
        at, bounces = paths(rule, uniform(rule, 0, 3), travel, 4, True)
        assert (at.shape, bounces.shape) == ((0, 3, 2), (0, 3))
