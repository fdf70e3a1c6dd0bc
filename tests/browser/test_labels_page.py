"""The page Labels in a browser: by keyboard alone, through a kill of the server, in two tabs, dark and narrow."""

import importlib.util
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gpt4image.label.answers import read_answers
from gpt4image.label.artifact import LabelTable

OpenPage = Callable[..., Page]
Serve = Callable[[], str]
UNNAMED = """[...document.querySelectorAll('button, input, img, progress, dialog')].filter((e) => !e.hidden
  && !(e.getAttribute('aria-label') || e.labels?.length || e.alt || e.textContent.trim())).length"""
"""How many elements a screen reader has no words for."""


@pytest.fixture
def table(tmp_path: Path) -> LabelTable:
    source = Path(__file__).parents[1] / "report" / "made_labels.py"
    spec = importlib.util.spec_from_file_location("made_labels", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_labels(tmp_path)


@pytest.fixture
def serve(table: LabelTable, tmp_path: Path) -> Iterator[Serve]:
    """Starts the real command and returns its address; a second call kills it before, without mercy.

    Tests ask for it before `open_page`, so that pages are closed before their server is.
    """
    running: list[subprocess.Popen[str]] = []

    def kill() -> None:
        for process in running:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        running.clear()

    def start() -> str:
        kill()
        command = [sys.executable, "-m", "gpt4image.cli", "gallery", str(tmp_path / "work"), "--serve"]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert running[0].stdout is not None
        return running[0].stdout.readline().strip()

    yield start
    kill()


def answered(tmp_path: Path, table: LabelTable) -> dict[str, str | None]:
    """What stands on disk, by the image's name."""
    keys = dict(zip(table.rows["digest"].to_pylist(), table.rows["key"].to_pylist(), strict=True))
    return {keys[digest]: answer.class_name for digest, answer in read_answers(tmp_path / "work").items()}


def go(page: Page, who: str | None = "Ada") -> Page:
    """From the gallery to the labels; `who` None if the browser knows the name."""
    page.get_by_role("link", name="Labels").click()
    if who is not None:
        expect(page.locator("#ask")).to_be_visible()
        page.keyboard.type(who)
        page.keyboard.press("Enter")
    expect(page.locator("#key")).not_to_be_empty()
    return page


def test_by_keyboard_alone(serve: Serve, open_page: OpenPage, table: LabelTable, tmp_path: Path) -> None:
    page = go(open_page(serve()))
    key, said, progress = page.locator("#key"), page.locator("#said"), page.locator("#progress")
    expect(key).to_have_text("000.png")
    assert page.evaluate("document.getElementById('picture').decode().then(() => true)")
    expect(progress).to_have_text("0 of 6 answered · about 2 of the others wrong")
    page.keyboard.press("2")
    expect(key).to_have_text("001.png")
    expect(said).to_have_text("000.png: bee. Stored.")
    assert answered(tmp_path, table) == {"000.png": "bee"}
    page.keyboard.press("n")
    expect(key).to_have_text("002.png")
    page.keyboard.press("ArrowRight")
    expect(key).to_have_text("003.png")
    page.keyboard.press("/")
    page.keyboard.type("LY")
    expect(page.get_by_role("option")).to_have_text(["lynx"])
    page.keyboard.press("Enter")
    expect(key).to_have_text("004.png")
    page.keyboard.press("k")
    expect(page.locator("#find")).to_be_focused()
    expect(page.get_by_role("option")).to_have_text(["koi"])
    page.keyboard.press("Escape")
    expect(page.locator("#found")).to_be_hidden()
    assert answered(tmp_path, table) == {"000.png": "bee", "001.png": None, "003.png": "lynx"}

    page.keyboard.press("u")
    expect(key).to_have_text("003.png")
    page.keyboard.press("u")
    expect(key).to_have_text("001.png")
    assert answered(tmp_path, table) == {"000.png": "bee"}
    page.keyboard.press("ArrowLeft")
    expect(key).to_have_text("000.png")
    expect(page.locator("#state")).to_contain_text("Ada said: bee")
    page.keyboard.press("1")
    expect(key).to_have_text("001.png")
    assert answered(tmp_path, table) == {"000.png": "ant"}
    page.keyboard.press("u")
    expect(page.locator("#state")).to_contain_text("Ada said: bee")
    assert answered(tmp_path, table) == {"000.png": "bee"}


def test_to_the_end_and_once_more(serve: Serve, open_page: OpenPage, table: LabelTable, tmp_path: Path) -> None:
    page = go(open_page(serve()))
    for number in range(6):
        expect(page.locator("#key")).to_have_text(f"{number:03}.png")
        page.keyboard.press("ArrowRight" if number == 3 else "1")
    expect(page.locator("#end")).to_contain_text("That was the last one; 1 images have no answer.")
    page.get_by_role("button", name="Look at those skipped").click()
    expect(page.locator("#key")).to_have_text("003.png")
    page.keyboard.press("0")
    expect(page.locator("#end")).to_contain_text("All 6 images are answered.")
    assert len(answered(tmp_path, table)) == 6
    page.keyboard.press("u")
    expect(page.locator("#key")).to_have_text("003.png")


def test_every_confirmed_answer_survives_kill_9(
    serve: Serve, open_page: OpenPage, table: LabelTable, tmp_path: Path
) -> None:
    page = go(open_page(serve()))
    page.keyboard.press("2")
    expect(page.locator("#key")).to_have_text("001.png")
    page.wait_for_load_state("networkidle")
    with (tmp_path / "work" / "labels" / "answers.jsonl").open("a") as file:
        file.write('{"digest": "half a li')
    address = serve()
    page = go(open_page(address))
    expect(page.locator("#key")).to_have_text("001.png")
    expect(page.locator("#progress")).to_contain_text("1 of 6 answered")
    page.keyboard.press("3")
    expect(page.locator("#key")).to_have_text("002.png")
    assert answered(tmp_path, table) == {"000.png": "bee", "001.png": "eel"}
    for number in (1, 0):
        page.keyboard.press("u")
        expect(page.locator("#key")).to_have_text(f"{number:03}.png")
    assert answered(tmp_path, table) == {}


def test_an_answer_that_is_not_stored_is_not_shown_as_stored(
    chromium: Browser, serve: Serve, table: LabelTable, tmp_path: Path
) -> None:
    """The browser's console says that the server is gone, so this page is not watched for errors."""
    context = chromium.new_context()
    page = context.new_page()
    # Before the page is opened: a route that comes later is now and then missed by the first request.
    page.route("**/labels/answer", lambda route: route.abort())
    page.goto(serve())
    go(page)
    page.keyboard.press("2")
    expect(page.locator("#toast")).to_contain_text("nothing was stored")
    expect(page.locator("#key")).to_have_text("000.png")
    assert answered(tmp_path, table) == {}
    page.unroute("**/labels/answer")
    page.keyboard.press("2")
    expect(page.locator("#key")).to_have_text("001.png")
    context.close()


def test_two_tabs_and_two_people(chromium: Browser, serve: Serve, table: LabelTable, tmp_path: Path) -> None:
    address = serve()
    one = chromium.new_context()
    first = one.new_page()
    first.goto(address)
    go(first, "Ada")
    second = one.new_page()
    second.goto(address)
    go(second, None)
    expect(first.locator("#key")).to_have_text("000.png")
    expect(second.locator("#key")).to_have_text("001.png")
    first.keyboard.press("1")
    expect(first.locator("#key")).to_have_text("002.png")
    second.keyboard.press("2")
    expect(second.locator("#key")).to_have_text("003.png")
    expect(second.locator("#progress")).to_contain_text("2 of 6 answered")

    second.get_by_role("button", name="Ada answers; change who").click()
    second.keyboard.type("Bob")
    second.keyboard.press("Enter")
    expect(second.locator("#who")).to_have_text("Bob")
    for page in (first, second):
        page.evaluate("forward = async () => show()")
    first.keyboard.press("ArrowLeft")
    expect(first.locator("#key")).to_have_text("000.png")
    digest = table.rows["digest"][0].as_py()
    second.evaluate(
        "(digest) => ask(`labels/image?digest=${digest}`).then((r) => { seen[at] = r.image; show(); })", digest
    )
    expect(second.locator("#state")).to_contain_text("Ada said: ant")
    first.keyboard.press("2")
    expect(first.locator("#state")).to_contain_text("Ada said: bee")
    second.keyboard.press("3")
    expect(second.locator("#toast")).to_contain_text("Ada has said “bee” in the meantime")
    assert answered(tmp_path, table)["000.png"] == "bee"
    second.keyboard.press("3")
    expect(second.locator("#state")).to_contain_text("Bob said: cat")
    assert answered(tmp_path, table) == {"000.png": "cat", "001.png": "dog"}
    first.keyboard.press("u")
    expect(first.locator("#toast")).to_contain_text("Bob has said “cat” in the meantime")
    assert answered(tmp_path, table)["000.png"] == "cat"
    one.close()


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (1400, "dark"), (390, "light"), (390, "dark")])
def test_fits_the_screen_is_legible_and_can_be_read_aloud(
    serve: Serve, open_page: OpenPage, contrast: Callable[[Page, str], float], width: int, scheme: str
) -> None:
    page = go(open_page(serve(), width, scheme))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for selector in (
        "h1",
        "#key",
        "#state",
        "#progress",
        ".choice b",
        ".choice .share",
        ".choice .says",
        "#none",
        "nav a",
    ):
        assert contrast(page, selector) >= 4.5, selector
    assert page.evaluate(UNNAMED) == 0
    assert page.locator("#choices button").first.get_attribute("aria-keyshortcuts") == "1"
    assert page.locator("#said").get_attribute("role") == "status"
    button = page.locator("#choices button").nth(1)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#key")).to_have_text("001.png")
    expect(page.locator("#key")).to_be_focused()
    expect(page.locator("#said")).to_have_text("000.png: bee. Stored.")
