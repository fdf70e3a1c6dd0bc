"""One request for description and pick: every field an answer of its own, whoever is asked, whatever happens."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.describe.prompts.answering_server import AnsweringServer

from gpt4image.describe import DescribeSettings, Description, DescriptionStore, State, describe, emit_requests
from gpt4image.describe.asking.missing import Ask, Request
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.asking.structured import read_fields
from gpt4image.describe.exchange.export_stage import ExportDescriptionsSettings, export_descriptions
from gpt4image.describe.exchange.import_stage import ImportSettings, import_descriptions
from gpt4image.describe.lint.stage import LintSettings, lint
from gpt4image.describe.local.vllm import to_reply
from gpt4image.describe.prompts.fields import fields_of, main_prompt, name_fields
from gpt4image.describe.prompts.parse import parse_prompts
from gpt4image.describe.store.edits import Editor, read_queued
from gpt4image.describe.store.rows import Name
from gpt4image.errors import DescriptionError
from gpt4image.results import ExitStatus

Make = Callable[..., Path]
MAIN, PICK = "describe_and_pick@1", "describe_and_pick.class@1"
SECOND, SURE = "describe_and_pick.second@1", "describe_and_pick.confidence@1"
ANSWER = {"description": "Grey fur, long whiskers.", "class": "cat", "second": "dog", "confidence": 93}


@pytest.fixture
def settings(tmp_path: Path, image_folder: Make) -> DescribeSettings:
    """Four images of cats and dogs; the endpoint is still to be filled in."""
    prompt = ("describe_and_pick",)
    return DescribeSettings(
        str(image_folder(4)), tmp_path / "work", endpoint=(), model="m", prompt=prompt, max_failures="100%"
    )


def rows_of(work: Path) -> list[Description]:
    with DescriptionStore.open(work) as store:
        return list(store.descriptions())


def texts_of(work: Path) -> dict[str, set[str]]:
    """The `ok` texts of each prompt."""
    texts: dict[str, set[str]] = {}
    for row in rows_of(work):
        if row.state is State.OK:
            texts.setdefault(row.prompt, set()).add(row.text)
    return texts


ALL = {MAIN: {"Grey fur, long whiskers."}, PICK: {"cat"}, SECOND: {"dog"}, SURE: {"93 %"}}


def test_each_field_is_an_answer_and_the_image_is_paid_for_once(settings: DescribeSettings) -> None:
    with AnsweringServer(lambda words, body: json.dumps(ANSWER)) as server:
        settings = replace(settings, endpoint=(server.url,), samples=2)
        result = describe(settings)
        assert (result.new, result.tokens_in, result.states) == (8, 800, {MAIN: {State.OK: 8}})
        assert texts_of(settings.work) == ALL
        rows = rows_of(settings.work)
        assert len(rows) == 4 * 2 * 4
        assert {(row.prompt == MAIN, row.tokens_in, row.tokens_out, row.attempts) for row in rows} == {
            (True, 100, 20, 1),
            (False, 0, 0, 0),
        }
        schema = server.bodies[0]["response_format"]["json_schema"]["schema"]
        assert list(schema["properties"]) == schema["required"] == ["description", "class", "second", "confidence"]
        assert schema["properties"]["class"] == {"type": "string", "enum": ["cat", "dog", "none"]}
        assert describe(settings).kept == 8
        assert len(server.bodies) == 8


@pytest.mark.parametrize(
    ("answer", "description", "fields"),
    [
        (f"Here it is:\n```json\n{json.dumps(ANSWER)}\n```\nAnything else?", ANSWER["description"], 3),
        ('{"Description": "Grey {fur}\nand more.", "CLASS": "none", "second": null}', "Grey {fur}\nand more.", 1),
        ("A {grey} animal with whiskers.", "A {grey} animal with whiskers.", 0),
    ],
)
def test_an_endpoint_without_schemas_answers_in_words(
    settings: DescribeSettings, answer: str, description: str, fields: int
) -> None:
    with AnsweringServer(lambda words, body: answer, refuses_schemas=True) as server:
        settings = replace(settings, endpoint=(server.url,))
        assert describe(settings).exit_status is ExitStatus.DONE
        assert "response_format" not in server.bodies[-1]
    rows = rows_of(settings.work)
    assert {row.text for row in rows if row.prompt == MAIN} == {description}
    assert len(rows) == 4 * (1 + fields)


@pytest.mark.parametrize(
    ("text", "state", "error"),
    [
        ('{"description": "Grey fur, "class": "cat"}', State.EMPTY, "not the JSON asked for"),
        ('```json\n{"description": ', State.EMPTY, "not the JSON asked for"),
        ('{"class": "cat"}', State.EMPTY, "no description in the answer"),
        ('{"description": "I cannot describe this image.", "class": "cat"}', State.REFUSED, "declines to describe"),
    ],
)
def test_an_answer_without_description_has_no_pick_either(text: str, state: State, error: str) -> None:
    reply, values = read_fields(Reply(State.OK, text), fields_of(MAIN))
    assert (reply.state, values) == (state, {})
    assert error in reply.error


def test_numbers_and_lists_become_texts() -> None:
    def read(confidence: Any) -> str | None:
        answer = json.dumps({"description": "Grey", "class": ["cat", "dog"], "confidence": confidence})
        _, values = read_fields(Reply(State.OK, answer), fields_of(MAIN))
        assert values["class"] == "cat, dog"
        return values.get("confidence")

    # One of a hundred is not certainty.
    assert [read(value) for value in (1, 0.97, "high", True, None)] == ["1 %", "0.97", "high", None, None]


def test_a_truncated_answer_leaves_no_half_rows_and_is_mended(settings: DescribeSettings) -> None:
    def answer(words: str, body: dict[str, Any]) -> str | tuple[str, str]:
        text = json.dumps(ANSWER)
        return text if body["max_tokens"] > 100 else (text[:40], "length")

    with AnsweringServer(answer) as server:
        settings = replace(settings, endpoint=(server.url,), max_tokens=50)
        assert describe(settings).states == {MAIN: {State.TRUNCATED: 4}}
        assert {row.prompt for row in rows_of(settings.work)} == {MAIN}
        assert describe(replace(settings, retry_failed=True)).redone == 4, "twice 50 is not enough"
        assert describe(replace(settings, max_tokens=200)).redone == 4
    assert texts_of(settings.work) == ALL
    assert {row.tokens_in for row in rows_of(settings.work) if row.prompt == MAIN} == {300}


def test_a_schema_of_the_users_own_is_flattened_as_ever(settings: DescribeSettings, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "object", "properties": {"class": {"type": "string"}}}')
    with AnsweringServer(lambda words, body: json.dumps(ANSWER)) as server:
        describe(replace(settings, endpoint=(server.url,), schema=tmp_path / "schema.json"))
    (prompt,) = {row.prompt for row in rows_of(settings.work)}
    assert prompt.startswith(f"{MAIN}+")
    assert fields_of(prompt) == ()
    assert texts_of(settings.work)[prompt] == {
        "description: Grey fur, long whiskers.; class: cat; second: dog; confidence: 93."
    }


def test_batch_files_bring_the_fields_back(settings: DescribeSettings, tmp_path: Path) -> None:
    batch, answers = tmp_path / "batch.jsonl", tmp_path / "answers.jsonl"
    assert emit_requests(replace(settings, emit_batch=batch)).requests == 4

    def take(content: str) -> None:
        with AnsweringServer(lambda words, body: content) as server:
            asked = [json.loads(line) for line in batch.open()]
            lines = [
                {"custom_id": one["custom_id"], "response": {"status_code": 200, "body": server.complete(one["body"])}}
                for one in asked
            ]
        answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
        import_descriptions(ImportSettings(settings.work, answers))

    take(json.dumps(ANSWER))
    assert texts_of(settings.work) == ALL
    assert sum(row.tokens_in for row in rows_of(settings.work)) == 400
    assert emit_requests(replace(settings, emit_batch=batch.with_name("none.jsonl"))).requests == 0
    take("I'm sorry, I can't help with that.")
    assert texts_of(settings.work) == ALL, "a failed answer takes nothing from a good one"
    take("A grey animal.")
    assert texts_of(settings.work) == {MAIN: {"A grey animal."}}, "the pick of the earlier answer is gone"


def test_the_engine_on_a_cluster_answers_with_fields() -> None:
    (prompt,) = parse_prompts(["describe_and_pick"])
    ask = Ask(0, "digest", prompt, "words", Request(200, 768))
    tokens = {"num_input_tokens": 85, "num_generated_tokens": 40}
    reply = to_reply({"number": 0, "unreadable": "", "generated_text": json.dumps(ANSWER)} | tokens, ask)
    read, values = read_fields(reply, prompt.fields)
    assert (read.text, read.tokens_in) == (ANSWER["description"], 85)
    assert values == {"class": "cat", "second": "dog", "confidence": "93 %"}


def test_workers_on_a_cluster_answer_with_fields(settings: DescribeSettings, ray_here: None) -> None:
    with AnsweringServer(lambda words, body: json.dumps(ANSWER)) as server:
        describe(replace(settings, endpoint=(server.url,), on="ray", ray_workers=1))
    assert texts_of(settings.work) == ALL


def test_a_local_model_that_writes_no_json_describes_without_a_pick(settings: DescribeSettings, tiny_vlm: Path) -> None:
    describe(replace(settings, describer="local", model=str(tiny_vlm), max_tokens=8))
    rows = rows_of(settings.work)
    assert [row.prompt for row in rows] == [MAIN] * 4
    assert all(row.tokens_in > 100 for row in rows)


def test_replayed_columns_and_own_exports_keep_the_fields(settings: DescribeSettings, tmp_path: Path) -> None:
    with AnsweringServer(lambda words, body: json.dumps(ANSWER)) as server:
        describe(replace(settings, endpoint=(server.url,)))
    rows = rows_of(settings.work)
    export_descriptions(ExportDescriptionsSettings(settings.work, tmp_path / "all.jsonl"))
    import_descriptions(ImportSettings(tmp_path / "other", tmp_path / "all.jsonl", images=settings.images))
    assert rows_of(tmp_path / "other") == rows
    columns: dict[str, dict[str, str]] = {}
    for row in rows:
        columns.setdefault(row.digest, {"digest": row.digest})[row.prompt] = row.text.removesuffix(" %")
    (tmp_path / "wide.jsonl").write_text("".join(json.dumps(row) + "\n" for row in columns.values()))
    replayed = replace(settings, work=tmp_path / "replayed", describer="replay", file=tmp_path / "wide.jsonl")
    assert describe(replace(replayed, field=(MAIN, PICK, SECOND, SURE))).exit_status is ExitStatus.DONE
    assert texts_of(replayed.work) == ALL | {SURE: {"93"}}
    assert export_descriptions(ExportDescriptionsSettings(settings.work, tmp_path / "cars")).descriptions == 4
    assert {path.read_text() for path in (tmp_path / "cars").rglob("*.txt")} == {"Grey fur, long whiskers.\n"}


def test_requeue_takes_all_fields_and_undo_brings_them_back(settings: DescribeSettings) -> None:
    with AnsweringServer(lambda words, body: json.dumps(ANSWER)) as server:
        settings = replace(settings, endpoint=(server.url,))
        describe(settings)
        before, editor = rows_of(settings.work), Editor(settings.work, "ada")
        digest = before[0].digest
        name = Name(digest, MAIN, "m", 0)
        for requeued in (name, name._replace(prompt=PICK)):
            editor.requeue(requeued)
            assert digest not in {row.digest for row in rows_of(settings.work)}
            assert {one.prompt for one in read_queued(settings.work)[digest]} == {MAIN, PICK, SECOND, SURE}
            assert editor.undo(digest)
            assert rows_of(settings.work) == before
        assert not editor.undo(digest)
        editor.edit(name, "By hand.")
        assert editor.undo(digest)
        assert rows_of(settings.work) == before, "taking back an edit leaves the fields alone"
        editor.requeue(name)
        server.answer = lambda words, body: "A grey animal."
        assert describe(settings).new == 1
    assert [row.prompt for row in rows_of(settings.work) if row.digest == digest] == [MAIN]
    assert read_queued(settings.work) == {}
    assert editor.undo(digest)
    rows = rows_of(settings.work)
    assert [row for row in rows if row.sample == 0] == before
    assert [(row.digest, row.prompt, row.sample, row.text) for row in rows if row not in before] == [
        (digest, MAIN, 1, "A grey animal.")
    ], "what was paid for again is kept"


def test_lint_looks_at_descriptions_only_and_requeues_their_fields(settings: DescribeSettings) -> None:
    with AnsweringServer(lambda words, body: json.dumps(ANSWER)) as server:
        describe(replace(settings, endpoint=(server.url,)))
    before = rows_of(settings.work)
    result = lint(LintSettings(settings.work, requeue=("duplicates",)))
    assert (result.descriptions, result.requeued) == (4, 4)
    assert rows_of(settings.work) == []
    assert lint(LintSettings(settings.work, undo="requeue")).undone == 4
    assert rows_of(settings.work) == before
    assert lint(LintSettings(settings.work, "describe_and_pick")).descriptions == 4
    with DescriptionStore.open(settings.work) as store:
        store.remove(row.name for row in before if row.prompt == MAIN)
    with pytest.raises(DescriptionError, match="has no ok descriptions of this prompt"):
        lint(LintSettings(settings.work))


def test_names_of_fields() -> None:
    assert name_fields(MAIN) == [PICK, SECOND, SURE]
    assert [main_prompt(name) for name in (SURE, MAIN, "pick_class@1", "mine.class@1")] == [
        MAIN,
        MAIN,
        "pick_class@1",
        "mine.class@1",
    ]
