"""The report as a reader sees it: in Chromium, from a file, without a network."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.media import write_png
from experiments.cli import main
from lightning_modules.strips import ABOUT, strip
from tests.experiments.run_folders import QUICK, number, score, write_clip, write_curves, write_run

pytestmark = pytest.mark.slow

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAME = "<script>alert(1)<script>"
ACD, SSIM = QUICK.number_hash("acd"), QUICK.number_hash("ssim")


def lacking(what: str) -> None:
    message = f"{what}: the report was not looked at in a browser"
    if os.environ.get("REELBENCH_CI") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        lacking("chromium is not installed (Debian: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("playwright is not installed (pip install playwright)")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    values: list[tuple[str, float, float | None]] = [("b", 10.5, -0.5), ("a", 9.25, None), (NAME, 100.0, -0.2)]
    for name, acd, ssim in values:
        numbers = [number(QUICK, "acd", acd, 0.1)]
        numbers += [] if ssim is None else [number(QUICK, "ssim", ssim, better=True)]
        folder = write_run(root / "runs", name, score(QUICK, *numbers))
        rows = [(step, "train/generator", 1 / (1 + step)) for step in range(2000)]
        write_curves(folder, [*rows, (999, QUICK.key("acd", "acd"), acd), (1999, QUICK.key("acd", "acd"), acd - 1)])
        for i in range(3):
            write_clip(folder / "samples" / "step-00001500" / f"{i:05d}.mp4", hue=40 * i)
            write_clip(folder / "samples" / "real" / f"{i:05d}.mp4", hue=200)
    write_run(root / "runs", "noise", score(QUICK, number(QUICK, "acd", 50.0)), reference=True)
    page = root / "page.html"
    assert main(["report", str(root / "runs"), "-o", str(page)]) == 0
    return page


class Visit:
    """An open page, and all that it said or asked for."""

    def __init__(self, browser: Any, report: Path, **view: Any) -> None:
        self.page = browser.new_page(**view)
        self.page.set_default_timeout(60_000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(report.as_uri())

    def _dialog(self, dialog: Any) -> None:
        self.said.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def until(self, expression: str) -> None:
        """Waits, polling from here: Playwright's own waiting evaluates strings, which the page's policy forbids."""
        for _ in range(600):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never became true: {expression}")

    def column(self, index: int) -> list[str]:
        """The texts of a column, reference rows last."""
        rows = "[...document.querySelectorAll('tbody tr:not(.rule)')]"
        texts: list[str] = self.page.evaluate(f"{rows}.map(row => row.cells[{index}].innerText.trim())")
        return texts


@pytest.fixture
def visit(browser: Any, report: Path) -> Iterator[Visit]:
    opened = Visit(browser, report, viewport={"width": 1280, "height": 900})
    yield opened
    opened.page.close()
    assert opened.said == []
    assert {url for url in opened.asked if not url.startswith("data:")} == {report.as_uri()}


def test_name_with_a_tag_is_text(visit: Visit) -> None:
    assert visit.column(1) == ["a", "b", NAME, "noise"]
    assert visit.page.locator(".legend button", has_text=NAME).count() == 2  # its metric and its loss
    assert visit.page.locator("#runs summary", has_text=NAME).count() == 1


def test_click_sorts_numbers_as_numbers(visit: Visit) -> None:
    acd = visit.page.locator("thead th").nth(2)
    acd.locator("button").click()
    assert acd.get_attribute("aria-sort") == "ascending"
    assert visit.column(1) == ["a", "b", NAME, "noise"]  # 9.25, 10.5, 100; a reference stays last
    acd.locator("button").click()
    assert acd.get_attribute("aria-sort") == "descending" and visit.column(1) == [NAME, "b", "a", "noise"]
    assert visit.page.locator("thead th").first.get_attribute("aria-sort") == "none"


def test_missing_stays_last_and_best_comes_first(visit: Visit) -> None:
    button = visit.page.locator("thead th").nth(3).locator("button")
    button.click()  # higher is better
    assert visit.column(1) == [NAME, "b", "a", "noise"] and visit.column(3) == [
        "-0.2000",
        "-0.5000",
        "missing",
        "missing",
    ]
    button.click()
    assert visit.column(1) == ["b", NAME, "a", "noise"]


def test_keyboard_sorts(visit: Visit) -> None:
    visit.page.locator("thead th").nth(1).locator("button").focus()
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("Enter")
    assert visit.column(1) == ["b", "a", NAME, "noise"]


def test_clips_in_view_play(visit: Visit) -> None:
    page, video = visit.page, visit.page.locator("video").first
    assert page.locator("video").count() == 3 + 3 * 3
    video.scroll_into_view_if_needed()
    visit.until("document.querySelector('video').currentTime > 0.3")
    assert video.evaluate("v => !v.paused && v.muted && v.loop && v.videoWidth") == 128
    at = "[...document.querySelectorAll('video')].filter(v => v.src).map(v => v.currentTime)"
    visit.until(f"{at}.every(time => time > 0.3)")
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Play all"
    before = page.evaluate(at)
    page.wait_for_timeout(400)
    assert page.evaluate(at) == before
    page.locator("#play").click()
    visit.until(f"document.querySelector('video').currentTime != {before[0]}")
    page.locator("footer").scroll_into_view_if_needed()
    visit.until("document.querySelector('video').paused")


def test_reduced_motion_plays_nothing(browser: Any, report: Path) -> None:
    opened = Visit(browser, report, reduced_motion="reduce")
    video = opened.page.locator("video").first
    video.scroll_into_view_if_needed()
    opened.until("document.querySelector('video').readyState >= 2")  # the first frame is there
    assert video.evaluate("v => v.paused") and opened.page.locator("#play").inner_text() == "Play all"
    opened.page.close()


def test_curves_are_drawn_and_answer(visit: Visit) -> None:
    page = visit.page
    figures = page.locator("figure.chart")
    assert figures.count() == 1 + 3
    metric, loss = figures.nth(0), figures.nth(1)
    metric.scroll_into_view_if_needed()
    assert metric.locator("polyline").count() == 3 and loss.locator("polygon.band").count() == 1
    metric.locator("> svg").hover(position={"x": 60, "y": 50})
    assert metric.locator(".tip").inner_text().split("\n")[0] == "step 999"
    assert "10.5" in metric.locator(".tip").inner_text()
    metric.locator("> svg").focus()
    page.keyboard.press("ArrowRight")
    assert metric.locator(".tip").inner_text().split("\n")[0] == "step 1999"
    metric.locator(".legend button").first.click()
    assert metric.locator("> svg polyline").count() == 2
    assert metric.locator(".legend button").first.get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone(browser: Any, report: Path, scheme: str) -> None:
    opened = Visit(browser, report, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for summary in opened.page.locator("#runs > details > summary").all():
        summary.click()
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
    ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(251, 251, 250)") == (scheme == "light")
    assert opened.said == []
    opened.page.close()


def test_predictions_and_the_end_of_the_context(browser: Any, tmp_path: Path) -> None:
    given = replace(QUICK, context=2, samples=3)
    curve = {"frame": [2, 3, 4], "mean": [0.9, 0.8, 0.7], "standard_error": [0.01, 0.02, 0.03], "count": 9}
    folder = write_run(tmp_path, "svg", score(given, number(given, "ssim_best", 0.8, better=True) | {"curve": curve}))
    strips = folder / "strips" / "quick-012345"
    frames = np.zeros((2, 3, 5, 48, 48), dtype=np.uint8)
    write_png(strips / "00000.png", strip(frames, [0, 1, 2, 3, 4], 2))
    about = {"rows": ["truth", "best"], "frames": [0, 1, 2, 3, 4], "context": 2, "clips": [0]}
    (strips / ABOUT).write_text(json.dumps({**about, "samples": 3, "chosen_by": "ssim"}))
    page = tmp_path / "page.html"
    assert main(["report", str(tmp_path), "-o", str(page)]) == 0
    opened = Visit(browser, page, viewport={"width": 1280, "height": 900})
    opened.page.locator(".predicted img").scroll_into_view_if_needed()
    opened.until("document.querySelector('.predicted img').naturalWidth > 0")
    assert opened.page.locator(".predicted .rows span").all_inner_texts() == ["truth", "best"]
    figure = opened.page.locator("figure.chart")
    figure.scroll_into_view_if_needed()
    opened.until("document.querySelectorAll('line.mark').length == 1")
    mark, first = (figure.locator(name).first for name in ("line.mark", "circle.point"))
    assert 46 <= float(mark.get_attribute("x1")) < float(first.get_attribute("cx"))  # the axis reaches to the mark
    assert figure.locator("polygon.band").count() == 1 and opened.said == []
    opened.page.close()
