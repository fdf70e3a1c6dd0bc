"""The gallery in a browser: from disk with 1,000 and 100,000 images, and served to work in."""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from gpt4image.describe.store.rows import DescribedImage, Description
from gpt4image.describe.store.states import State
from gpt4image.describe.store.store import DescriptionStore
from gpt4image.images import open_images, scan_images
from gpt4image.report.gallery import GallerySettings, gallery
from gpt4image.report.gallery.entries import read_entries

OpenPage = Callable[..., Page]


def _write_store(work: Path, count: int) -> None:
    """Images of 20 classes; every tenth refused; one text holds the word needle."""
    with DescriptionStore.open(work, create=True) as store:
        digests = [f"{number:064x}" for number in range(count)]
        store.write_images(
            DescribedImage(d, f"class{n % 20:02}/{n:06}.jpg", f"class{n % 20:02}") for n, d in enumerate(digests)
        )
        store.write(
            Description(
                digest,
                "detailed@1",
                "vlm",
                state=State.REFUSED if number % 10 == 9 else State.OK,
                text=f"Image {number} shows {'a needle' if number == count - 2 else 'hay'} in the evening light.",
            )
            for number, digest in enumerate(digests)
        )


@pytest.fixture(scope="module", params=[1_000, 100_000])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str]:
    work = tmp_path_factory.mktemp("work")
    _write_store(work, request.param)
    page = gallery(GallerySettings(work, lint=False)).page
    assert page is not None
    return request.param, page.as_uri()


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_stays_fast(open_page: OpenPage, large: tuple[int, str], width: int, scheme: str) -> None:
    count, url = large
    start_s = time.monotonic()
    page = open_page(url, width, scheme)
    expect(page.locator("#count")).to_have_text(f"{count:,} images")
    expect(page.locator(".entry")).to_have_count(48)
    assert time.monotonic() - start_s < 10
    assert page.evaluate("document.documentElement.scrollWidth") == width

    filtered = """async () => { const start = performance.now(); const s = document.getElementById('state');
      s.value = [...s.options].find((o) => o.text === 'refused').value; s.dispatchEvent(new Event('change'));
      while (!document.getElementById('count').textContent.includes(' of ')) await new Promise((r) => setTimeout(r, 5));
      return performance.now() - start; }"""
    assert page.evaluate(filtered) < 1500
    expect(page.locator("#count")).to_have_text(f"{count // 10:,} of {count:,} images")
    assert page.locator(".chip.bad").count() == page.locator(".entry").count()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#page")).to_contain_text("page 2 of")


def test_finds_one_text_among_all(open_page: OpenPage, large: tuple[int, str]) -> None:
    count, url = large
    page = open_page(url)
    page.locator("#q").fill("NEEDLE evening")
    expect(page.locator("#count")).to_have_text(f"1 of {count:,} images", timeout=60_000)
    expect(page.locator(".entry")).to_contain_text(f"{count - 2:06}.jpg")
    again = open_page(page.url)
    expect(again.locator("#count")).to_have_text(f"1 of {count:,} images", timeout=60_000)
    again.get_by_role("button", name="Clear").click()
    expect(again.locator("#count")).to_have_text(f"{count:,} images")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six photos in two classes and a store about them; one text would run if it were taken for HTML."""
    for number in range(6):
        folder = tmp_path / "photos" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 200), (40 * number, 90, 140)).save(folder / f"{number}.jpg")
    images = open_images(str(tmp_path / "photos"))
    with DescriptionStore.open(tmp_path / "work", create=True) as store:
        for index, digest in enumerate(scan_images(images).digests):
            store.write_images([DescribedImage(digest, images.keys[index], images.class_name(index))])
            text = "<img src=x onerror=alert(1)>" if index == 0 else f"Photo {index}."
            store.write([Description(digest, "detailed@1", "vlm", text=text)])
    return tmp_path


def _wait_for_pictures(page: Page) -> None:
    """The page's policy forbids the evaluation that `wait_for_function` needs."""
    loaded = "[...document.images].every((i) => i.complete && i.naturalWidth)"
    for _ in range(100):
        if page.evaluate(loaded):
            return
        page.wait_for_timeout(100)
    pytest.fail("a picture does not load")


def test_from_disk_with_pictures(open_page: OpenPage, photos: Path) -> None:
    page = open_page(gallery(GallerySettings(photos / "work", str(photos / "photos"))).page.as_uri())
    expect(page.locator(".photo img")).to_have_count(6)
    _wait_for_pictures(page)
    expect(page.locator(".entry").first).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator(".actions").count() == 0
    page.locator("#class").select_option(label="dog")
    expect(page.locator(".entry")).to_have_count(3)


def test_labels_from_disk(open_page: OpenPage, photos: Path) -> None:
    source = Path(__file__).parents[1] / "report" / "made_labels.py"
    spec = importlib.util.spec_from_file_location("made_labels", source)
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    images = open_images(str(photos / "photos"))
    digests = scan_images(images).digests
    maker.write_labels(photos / "work" / "labels" / "default", images.keys, digests, str(photos / "photos"))
    page = open_page(gallery(GallerySettings(photos / "work")).page.as_uri())
    expect(page.locator(".entry").nth(1).locator(".weighed")).to_have_text("overruledbee → cat 42 %")
    page.locator("#labelled").select_option(label="overruled")
    expect(page.locator("#count")).to_have_text("4 of 6 images")
    assert "labelled=overruled" in page.url
    expect(page.get_by_role("link", name="Labels")).to_have_count(0)


@pytest.fixture
def serve(photos: Path) -> Iterator[Callable[[], str]]:
    """Starts the real command and returns its address; a second call restarts it."""
    running: list[subprocess.Popen[str]] = []

    def stop() -> None:
        for process in running:
            process.terminate()
            process.wait(10)
        running.clear()

    def start() -> str:
        stop()
        command = ["gallery", str(photos / "work"), "--images", str(photos / "photos"), "--serve", "--author", "ada"]
        running.append(
            subprocess.Popen([sys.executable, "-m", "gpt4image.cli", *command], stdout=subprocess.PIPE, text=True)
        )
        assert running[0].stdout is not None
        return running[0].stdout.readline().strip()

    yield start
    stop()


def test_edit_reject_requeue_undo_survive_a_restart(
    open_page: OpenPage, serve: Callable[[], str], photos: Path
) -> None:
    url = serve()
    page = open_page(url)
    expect(page.locator(".photo img")).to_have_count(6)
    _wait_for_pictures(page)
    assert "token" not in page.url
    entries = page.locator(".entry")
    entries.nth(1).get_by_role("button", name="Edit").click()
    page.locator("textarea").fill("A blue rectangle.")
    page.get_by_role("button", name="Save").click()
    expect(entries.nth(1)).to_contain_text("written by a person")
    entries.nth(2).get_by_role("button", name="Reject").click()
    expect(entries.nth(2).locator(".chip")).to_contain_text(["rejected"])
    entries.nth(3).get_by_role("button", name="Re-queue").click()
    expect(entries.nth(3).locator(".chip")).to_have_text("queued")
    expect(entries.nth(4).get_by_role("button", name="Undo")).to_have_count(0)

    stored = [entry.descriptions for entry in read_entries(photos / "work")]
    assert (stored[1][0].text, stored[1][0].author) == ("A blue rectangle.", "person")
    assert stored[2][0].state == State.REJECTED
    assert stored[3] == ()

    page = open_page(serve())
    entries = page.locator(".entry")
    expect(entries.nth(1)).to_contain_text("A blue rectangle.")
    for number, text in ((1, "Photo 1."), (2, "Photo 2."), (3, "Photo 3.")):
        entries.nth(number).get_by_role("button", name="Undo").click()
        expect(entries.nth(number)).to_contain_text(text)
    restored = [entry.descriptions[0] for entry in read_entries(photos / "work")]
    assert [(one.state, one.author) for one in restored] == [(State.OK, "describer")] * 6
