"""Descriptions out of the store and into another one, in every form; batch files answered by a real server."""

import json
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gpt4image.describe import DescribeSettings, Description, DescriptionStore, State, describe, emit_requests
from gpt4image.describe.exchange.export_stage import ExportDescriptionsSettings, export_descriptions
from gpt4image.describe.exchange.import_stage import ImportSettings, import_descriptions
from gpt4image.errors import DescriptionError
from gpt4image.images import open_images, scan_images
from gpt4image.results import ExitStatus

Make = Callable[..., Path]


@pytest.fixture
def described(image_folder: Make, tmp_path: Path) -> tuple[Path, Path]:
    """A folder of four images and a store with one text each, one of them failed."""
    folder, work = image_folder(4), tmp_path / "work"
    rows = tmp_path / "rows.jsonl"
    texts = {"cat/0000.jpg": 'Größe, "quoted",\nnew line', "dog/0001.jpg": "two", "cat/0002.jpg": "three"}
    rows.write_text("".join(json.dumps({"key": k, "description": v}) + "\n" for k, v in texts.items()))
    describe(DescribeSettings(str(folder), work, describer="replay", file=rows))
    with DescriptionStore.open(work) as store:
        last = next(image for image in store.images() if image.key == "dog/0003.jpg")
        store.write([Description(last.digest, "description", "replay", state=State.REFUSED, text="Sorry, no.")])
    return folder, work


def rows_of(work: Path) -> list[Description]:
    with DescriptionStore.open(work) as store:
        return list(store.descriptions())


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.parquet"])
def test_all_columns_survive_the_round_trip(described, tmp_path: Path, name: str) -> None:
    folder, work = described
    result = export_descriptions(ExportDescriptionsSettings(work, tmp_path / name, all_states=True))
    assert result.descriptions == 4
    taken = import_descriptions(ImportSettings(tmp_path / "other", tmp_path / name, images=str(folder)))
    assert (taken.written, taken.states, taken.exit_status) == (4, {"ok": 3, "refused": 1}, ExitStatus.PARTLY)
    assert list(map(asdict, rows_of(tmp_path / "other"))) == list(map(asdict, rows_of(work)))
    assert import_descriptions(ImportSettings(tmp_path / "other", tmp_path / name)).kept == 4


@pytest.mark.parametrize("name", ["metadata.jsonl", "sidecars"])
def test_texts_survive_the_forms_of_other_programs(described, tmp_path: Path, name: str) -> None:
    folder, work = described
    assert export_descriptions(ExportDescriptionsSettings(work, tmp_path / name)).descriptions == 3
    settings = ImportSettings(tmp_path / "other", tmp_path / name, images=str(folder), prompt="theirs")
    assert import_descriptions(settings).written == 3
    ours = {(row.digest, row.text) for row in rows_of(work) if row.state is State.OK}
    assert {(row.digest, row.text) for row in rows_of(tmp_path / "other")} == ours
    assert {row.prompt for row in rows_of(tmp_path / "other")} == {"theirs"}


def test_a_pth_list_is_in_the_order_of_image_folder(described, tmp_path: Path) -> None:
    import torch

    folder, _ = described
    (folder / "cat/deeper").mkdir()
    (folder / "cat/0002.jpg").rename(folder / "cat/deeper/0002.jpg")
    torch.save([f"text {number}" for number in range(4)], tmp_path / "list.pth")
    import_descriptions(ImportSettings(tmp_path / "other", tmp_path / "list.pth", images=str(folder)))
    with DescriptionStore.open(tmp_path / "other") as store:
        texts = {row.digest: row.text for row in store.ok_descriptions()}
        named = {image.key: texts[image.digest] for image in store.images()}
    from torchvision.datasets import ImageFolder

    expected = [str(Path(path).relative_to(folder)) for path, _ in ImageFolder(str(folder)).samples]
    assert [named[key] for key in expected] == [f"text {number}" for number in range(4)]


def test_a_pth_list_of_another_length_or_with_code_in_it_is_refused(described, tmp_path: Path) -> None:
    import torch

    folder, _ = described
    torch.save(["only one"], tmp_path / "list.pth")
    with pytest.raises(DescriptionError, match=r"holds 1 texts .* with 4; give the very folder"):
        import_descriptions(ImportSettings(tmp_path / "other", tmp_path / "list.pth", images=str(folder)))
    torch.save([tmp_path], tmp_path / "list.pth")
    with pytest.raises(DescriptionError, match="no list of texts that can be loaded safely"):
        import_descriptions(ImportSettings(tmp_path / "other", tmp_path / "list.pth", images=str(folder)))
    torch.save(torch.zeros(4, 8), tmp_path / "list.pth")
    with pytest.raises(DescriptionError, match="holds Tensor, not a list of texts"):
        import_descriptions(ImportSettings(tmp_path / "other", tmp_path / "list.pth", images=str(folder)))


def test_rows_about_other_images_are_counted_or_refused(described, tmp_path: Path) -> None:
    _, work = described
    (tmp_path / "some.csv").write_text("path,caption\nimages/cat/0000.jpg,new\nelsewhere.jpg,other\n")
    result = import_descriptions(ImportSettings(work, tmp_path / "some.csv"))
    assert (result.written, result.unknown, result.exit_status) == (1, 1, ExitStatus.PARTLY)
    assert "elsewhere.jpg" in result.example
    (tmp_path / "none.csv").write_text("path,caption\nelsewhere.jpg,other\n")
    with pytest.raises(DescriptionError, match=r"about none of the images .*give the images with --images"):
        import_descriptions(ImportSettings(work, tmp_path / "none.csv"))
    with pytest.raises(DescriptionError, match=r"is not there; import takes a file .jsonl"):
        import_descriptions(ImportSettings(work, tmp_path / "none.xyz"))


@pytest.mark.parametrize("images", [None, "photos"])
@pytest.mark.parametrize("is_folder", [False, True])
def test_work_and_file_in_the_wrong_order_are_one_line(
    described, tmp_path: Path, is_folder: bool, images: str | None
) -> None:
    file, work = tmp_path / "texts", described[1]
    if is_folder:
        file.mkdir()
    else:
        file.write_text("{}")
    with pytest.raises(
        DescriptionError, match=f"WORK stands first, then FILE: gpt4image describe-import {work} {file}"
    ):
        import_descriptions(ImportSettings(file, work, images))


def test_side_cars_take_one_text_an_image(described, tmp_path: Path) -> None:
    _, work = described
    first = next(row for row in rows_of(work) if row.state is State.OK)
    with DescriptionStore.open(work) as store:
        store.write([replace(first, prompt="second")])
    with pytest.raises(DescriptionError, match="more than one description; choose with --prompt"):
        export_descriptions(ExportDescriptionsSettings(work, tmp_path / "sidecars"))
    with pytest.raises(DescriptionError, match="has no such descriptions"):
        export_descriptions(ExportDescriptionsSettings(work, tmp_path / "out.jsonl", prompt="third"))


def test_side_cars_take_the_place_of_no_other_text(described, tmp_path: Path) -> None:
    """Captions written by hand lie in just such files."""
    _, work = described
    settings = ExportDescriptionsSettings(work, tmp_path / "sidecars")
    export_descriptions(settings)
    file = tmp_path / "sidecars" / "cat" / "0000.txt"
    left_over = tmp_path / "sidecars" / ".side-car.999999999.tmp"
    left_over.write_text("of a process that was killed")
    assert export_descriptions(settings).descriptions == 3, "the same again"
    assert not left_over.exists()
    file.write_text("by hand\n")
    (tmp_path / "sidecars" / "dog" / "0001.txt").unlink()
    with pytest.raises(DescriptionError, match=r"0000\.txt is there already and says something else, 1 such files"):
        export_descriptions(settings)
    assert file.read_text() == "by hand\n"
    assert not (tmp_path / "sidecars" / "dog" / "0001.txt").exists(), "nothing is written if one is in the way"


def answer_batch(url: str, requests: Path, answers: Path) -> None:
    """What a batch service does: sends every line's body, writes the answers in another order."""
    lines = []
    for line in requests.read_text(encoding="utf-8").splitlines():
        asked = json.loads(line)
        body = json.dumps(asked["body"]).encode()
        target = url.removesuffix("/v1") + asked["url"]
        request = urllib.request.Request(target, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            response = {"status_code": answer.status, "body": json.load(answer)}
        lines.append(json.dumps({"custom_id": asked["custom_id"], "response": response, "error": None}))
    failed = {"custom_id": json.loads(lines[0])["custom_id"], "response": None, "error": {"message": "expired"}}
    answers.write_text("\n".join([*reversed(lines[1:]), json.dumps(failed)]) + "\n")


def test_batch_file_goes_out_and_its_answers_come_back(chat_server, image_folder: Make, tmp_path: Path) -> None:
    server = chat_server("--faults", "reasoning_only=0.3")
    folder, file = image_folder(8), tmp_path / "batch.jsonl"
    settings = DescribeSettings(
        str(folder), tmp_path / "work", model="m", prompt=("tags", "A {class}?"), samples=2, emit_batch=file
    )
    emitted = emit_requests(settings)
    assert (emitted.requests, emitted.files) == (8 * 2 * 2, (file,))
    assert max(len(json.loads(line)["custom_id"]) for line in file.open()) <= 64
    answer_batch(server.url, file, tmp_path / "answers.jsonl")
    result = import_descriptions(ImportSettings(settings.work, tmp_path / "answers.jsonl"))
    assert result.written == 32
    assert result.states["endpoint_error"] == 1
    rows = rows_of(settings.work)
    assert {(row.prompt.split("-")[0], row.sample) for row in rows} == {
        ("tags@1", 0),
        ("tags@1", 1),
        ("own", 0),
        ("own", 1),
    }
    assert any(row.state is State.REASONING_ONLY and row.reasoning for row in rows)
    again = emit_requests(replace(settings, retry_failed=True))
    assert again.requests == 32 - result.states["ok"]


def test_batch_files_are_split_at_the_services_limits(image_folder: Make, tmp_path: Path, monkeypatch) -> None:
    from gpt4image.describe.exchange import batch

    monkeypatch.setattr(batch, "MOST_REQUESTS", 3)
    settings = DescribeSettings(str(image_folder(8)), tmp_path / "w", model="m", emit_batch=tmp_path / "b.jsonl")
    files = emit_requests(settings).files
    assert [file.name for file in files] == ["b.jsonl", "b-2.jsonl", "b-3.jsonl"]
    assert [len(file.read_text().splitlines()) for file in files] == [3, 3, 2]


def test_images_are_found_by_digest_whatever_they_are_called(described) -> None:
    folder, work = described
    digests = scan_images(open_images(str(folder))).digests
    with DescriptionStore.open(work) as store:
        assert store.find_digest(digests[0][:40]) == digests[0]
        assert store.find_digest("0" * 40) is None


def write_answers(file: Path, requests: Path, fail: bool) -> None:
    """Answers to a batch file, all good or all failed."""
    lines = []
    for line in requests.read_text(encoding="utf-8").splitlines():
        choice = {"message": {"content": f"A thing, answered in {file.stem}."}, "finish_reason": "stop"}
        response = {"status_code": 500, "body": {"error": {"message": "the batch has expired"}}}
        if not fail:
            response = {"status_code": 200, "body": {"choices": [choice]}}
        lines.append(json.dumps({"custom_id": json.loads(line)["custom_id"], "response": response, "error": None}))
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("order", [("good", "bad"), ("bad", "good"), ("both",), ("both_reversed",)])
def test_failed_answers_never_replace_good_ones_whatever_the_order(image_folder: Make, tmp_path: Path, order) -> None:
    settings = DescribeSettings(str(image_folder(6)), tmp_path / "work", model="m", emit_batch=tmp_path / "b.jsonl")
    emit_requests(settings)
    for name in ("good", "bad"):
        write_answers(tmp_path / f"{name}.jsonl", tmp_path / "b.jsonl", fail=name == "bad")
    good, bad = ((tmp_path / f"{name}.jsonl").read_text() for name in ("good", "bad"))
    (tmp_path / "both.jsonl").write_text(good + bad)
    (tmp_path / "both_reversed.jsonl").write_text(bad + good)
    for name in order:
        result = import_descriptions(ImportSettings(settings.work, tmp_path / f"{name}.jsonl"))
        if name == "bad" and order[0] == "bad":
            told = "  endpoint_error: 6, most often: the batch has expired; --retry-failed asks again"
            assert told in list(result.lines())
        if name == "bad" and order[0] == "good":
            assert (result.written, result.kept) == (0, 6)
    assert {row.text for row in rows_of(settings.work)} == {"A thing, answered in good."}
    assert {row.state for row in rows_of(settings.work)} == {State.OK}


def test_a_choice_that_was_blocked_comes_back_as_refused(image_folder: Make, tmp_path: Path) -> None:
    settings = DescribeSettings(str(image_folder(2)), tmp_path / "work", model="m", emit_batch=tmp_path / "b.jsonl")
    emit_requests(settings)
    bodies = [{"choices": []}, {"choices": [{"message": {"content": "half a"}, "finish_reason": "error"}]}]
    lines = [
        json.dumps({"custom_id": json.loads(line)["custom_id"], "response": {"status_code": 200, "body": body}})
        for line, body in zip((tmp_path / "b.jsonl").read_text().splitlines(), bodies, strict=True)
    ]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines))
    result = import_descriptions(ImportSettings(settings.work, tmp_path / "answers.jsonl"))
    assert result.states == {"refused": 1, "endpoint_error": 1}
    assert "no choice in the answer" in result.errors["refused"]


@pytest.mark.parametrize("name", ["metadata.jsonl", "sidecars"])
def test_a_name_of_two_images_is_not_written_for_one_of_them(described, tmp_path: Path, name: str) -> None:
    """A photo that was replaced keeps its old text in the store, by its digest."""
    folder, work = described
    (folder / "cat/0000.jpg").write_bytes((folder / "cat/0002.jpg").read_bytes() + b"changed")
    (tmp_path / "new.jsonl").write_text(json.dumps({"key": "cat/0000.jpg", "description": "the new one"}))
    describe(DescribeSettings(str(folder), work, describer="replay", file=tmp_path / "new.jsonl"))
    with pytest.raises(DescriptionError, match=r"two images are called cat/0000\.jpg: it was replaced, or two sets"):
        export_descriptions(ExportDescriptionsSettings(work, tmp_path / name))
    assert not (tmp_path / name).exists()
    assert export_descriptions(ExportDescriptionsSettings(work, tmp_path / "all.jsonl")).descriptions == 4
