"""A real Chromium that may not reach any host, and watches for errors."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Error, Page, sync_playwright

torch.set_num_threads(1)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, or the one that `playwright install chromium` fetched."""
    system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=system, args=FLAGS)
        except Error:
            pytest.skip("no Chromium on this machine; install it, or run: playwright install chromium")
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address; the test fails on a console error, a script error, or a request to another place."""
    contexts, complaints = [], []

    def open_it(url: str, width: int = 1400, scheme: str = "light") -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        home = url.split("/?")[0] if url.startswith("http") else "file://"
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith((home, "data:")) else complaints.append(request.url),
        )
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture(scope="module")
def made_comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison of untrained models that the report's tests make."""
    folder = tmp_path_factory.mktemp("made")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    source = Path(__file__).parents[1] / "report" / "made_comparison.py"
    spec = importlib.util.spec_from_file_location("made_comparison", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_comparison(folder)


CONTRAST = """(selector) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data; };
  const light = (colour) => { const [r, g, b] = [...rgba(colour)].slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const element = document.querySelector(selector);
  let ground = element;
  while (ground && rgba(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement;
  const behind = getComputedStyle(ground ?? document.body).backgroundColor;
  const pair = [light(getComputedStyle(element).color), light(behind)];
  return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}"""


@pytest.fixture
def contrast() -> Callable[[Page, str], float]:
    """Contrast ratio (WCAG 2) of an element's text against the nearest opaque background."""
    return lambda page, selector: page.evaluate(CONTRAST, selector)
