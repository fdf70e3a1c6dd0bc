"""JSON as models write it becomes the same text as JSON as it should be."""

import json

import pytest

from gpt4image.describe.asking.json_answers import read_json
from gpt4image.describe.asking.refusals import flatten_json
from gpt4image.describe.asking.reply import judge_answer
from gpt4image.describe.store.states import State

RIGHT = "colour: grey; shape: round."


@pytest.mark.parametrize(
    "written",
    [
        '{"colour": "grey", "shape": "round"}',
        '```json\n{"colour": "grey", "shape": "round"}\n```',
        'Here it is:\n{"colour": "grey", "shape": "round",}',
        "{'colour': 'grey', 'shape': 'round'}",
        '{"colour": "grey", "shape": "round"} I hope {that} helps.',
        '{"colour": "grey", "shape": "round"}\n{"colour": "grey", "shape": "round"}',
        '[{"colour": "grey"}, {"shape": "round"}]',
        '{"colour": "grey"}\n{"shape": "round"}',
        '{"colour": "grey", "shape": "round"',
        '{colour: "grey", shape: "round"}',
        '{"colour": ["grey"], "shape": {"outer": "round", "inner": null}, "old": false, "marks": [], "maker": " "}',
    ],
)
def test_all_of_these_say_the_same(written: str) -> None:
    assert flatten_json(written) == RIGHT
    assert judge_answer(written, as_json=True).state is State.OK


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('["grey", "round"]', "grey; round."),
        ('{"count": 0, "worn": true}', "count: 0; worn: yes."),
        ('{"note": "a } brace, and it\'s fine"}', "note: a } brace, and it's fine."),
        ('{"colour": "gr\\u00e9y"}', "colour: gréy."),
    ],
)
def test_what_is_right_is_read_as_it_is(written: str, text: str) -> None:
    assert flatten_json(written) == text


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('{"wings": false, "wheels": false}', "no field of the answer says anything"),
        ('{"colour": "", "shape": null}', "no field of the answer says anything"),
        ('{"colour": [], "shape": {}}', "no field of the answer says anything"),
        ("A grey thing.", "the answer is not the JSON asked for"),
        ("A cat with a {smile} and [1] hat", "the answer is not the JSON asked for"),
    ],
)
def test_nothing_never_becomes_a_full_stop(written: str, words: str) -> None:
    reply = judge_answer(written, as_json=True)
    assert (reply.state, reply.error) == (State.EMPTY, words)


@pytest.mark.parametrize("written", ["[" * 50_000, '{"a":' * 50_000, "{" * 5_000])
def test_json_of_any_depth_ends(written: str) -> None:
    assert flatten_json(written) == ""


def test_repairing_changes_nothing_that_is_right() -> None:
    value = {"a": [1, {"b": "x, y: {z}"}], "c": 'it\'s "quoted"'}
    assert read_json(json.dumps(value)) == value
