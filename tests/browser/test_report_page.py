"""The report in a browser: narrow and wide, light and dark, by keyboard, on paper."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page

from gpt4image.report import write_report

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def url(made_comparison: Path) -> str:
    return write_report(made_comparison).as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_fits_the_screen_and_is_legible(
    open_page: OpenPage, contrast: Callable[[Page, str], float], url: str, width: int, scheme: str
) -> None:
    page = open_page(url, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("h1").inner_text() == "Descriptions help: +2.0 points."
    assert page.locator("h1").bounding_box()["y"] < 300
    for selector in ("h1", ".eyebrow", ".chip", "td strong.gain", "svg text", "th small", ".card dt", ".note, .lead"):
        assert contrast(page, selector) >= 4.5, selector
    for chart in page.locator("svg.chart").all():
        assert chart.get_attribute("aria-label")
        assert chart.bounding_box()["width"] > 250


def test_headings_descend_one_by_one_and_images_have_texts(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map((h) => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.locator("img").count() > 10
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    broken = "[...document.images].filter((i) => i.complete && !i.naturalWidth).length"
    assert page.evaluate(broken) == 0
    assert page.locator("[aria-labelledby]").count() == page.locator("section").count()


def test_keyboard_reaches_everything(open_page: OpenPage, url: str) -> None:
    page = open_page(url, 400)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.get_attribute("open") is not None
    region = page.locator("[role=region]").first
    region.focus()
    assert region.evaluate("(r) => document.activeElement === r && r.scrollWidth >= r.clientWidth")


def test_colours_can_be_switched_by_hand(open_page: OpenPage, url: str) -> None:
    page = open_page(url, scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Switch to light colours").click()
    assert page.evaluate(ground) != dark
    page.get_by_role("button", name="Switch to dark colours").click()
    assert page.evaluate(ground) == dark


def test_prints(open_page: OpenPage, url: str) -> None:
    page = open_page(url, scheme="dark")
    page.emulate_media(media="print", color_scheme="light")
    assert not page.locator(".bar").is_visible()
    page.set_viewport_size({"width": 720, "height": 1000})
    charts = page.locator(".charts").first.locator("figure")
    assert charts.nth(0).bounding_box()["y"] == charts.nth(1).bounding_box()["y"], "two charts beside each other"
    assert len(page.pdf()) > 20_000
