"""What is not told is estimated, and said to be."""

import pytest
from tests.describe.endpoint.stubs import Asked, completion

from gpt4image.describe.asking.usage import estimate_read, estimate_written, read_usage
from gpt4image.describe.endpoint.payload import encode_jpeg, to_data_url

PRICES = ["--usd-per-million-input", "1000", "--usd-per-million-output", "1000"]


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340}, (300, 40)),
        ({"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 1340}, (300, 1040)),
        ({"prompt_tokens": 300, "completion_tokens": 700, "total_tokens": 1}, (300, 700)),
        ({"prompt_tokens": 300, "completion_tokens": None, "total_tokens": 340}, (300, 40)),
        ({"completion_tokens": 40, "total_tokens": 340}, (300, 40)),
        ({"input_tokens": 300, "output_tokens": 40}, (300, 40)),
        ({"total_tokens": 340}, (0, 0)),
        ({"prompt_tokens": 10**12, "completion_tokens": 20}, (0, 20)),
        ({"prompt_tokens": 300, "completion_tokens": -20, "total_tokens": -1}, (300, 0)),
        ({"prompt_tokens": float("inf"), "completion_tokens": float("nan"), "total_tokens": 10**30}, (0, 0)),
        ({}, (0, 0)),
        (None, (0, 0)),
    ],
)
def test_tokens_as_they_are_told(usage, tokens) -> None:
    assert read_usage(usage) == tokens


def test_an_image_of_768_pixels_is_estimated_as_the_large_services_count_it() -> None:
    from PIL import Image

    url = to_data_url(encode_jpeg(Image.new("RGB", (768, 768)), 768))
    assert abs(estimate_read("", url) - (85 + 4 * 170)) < 0.05 * 765, "OpenAI's count"
    assert estimate_written("four", "letters") == 1 + 2


def test_a_budget_works_with_an_estimate_that_is_said_to_be_one(describing) -> None:
    text = "A thing. " * 40
    stub = describing.serve(lambda asked: completion(text + asked.picture, usage="none"))
    run = describing.run(stub.url, options=[*PRICES, "--budget-usd", "2", "--max-tokens", "100", "--in-flight", "1"])
    assert run.status == 4
    assert "the budget of $2 would be exceeded (--budget-usd), by an estimate" in run.out
    written = estimate_written(text) + 2
    assert 0.7 * 2000 < len(run.rows) * written < 2000, "a token costs a tenth of a cent"
    assert f"(of {len(run.rows)} descriptions by an estimate: the endpoint does not tell)" in run.out
    assert all(row.tokens_out == 0 for row in run.rows), "the store keeps what was told only"


@pytest.mark.parametrize("is_told", [True, False])
def test_the_plan_says_what_was_not_told(describing, is_told: bool) -> None:
    usage = {"prompt_tokens": 200, "completion_tokens": 20} if is_told else "none"
    stub = describing.serve(lambda asked: completion(asked.text, usage=usage))
    run = describing.run(stub.url, options=[*PRICES, "--plan"])
    assert run.status == 0
    assert ("not told by the endpoint" in run.out) != is_told
    assert ("7,200 tokens read, 720 written; about $7.92" in run.out) == is_told
    num_asked = len(stub.asked)
    describing.run(stub.url, options=[*PRICES, "--plan"])
    assert len(stub.asked) == num_asked, "measured once"


def test_a_budget_is_not_given_up_for_a_first_guess(describing) -> None:
    stub = describing.serve(lambda asked: completion(asked.text))
    run = describing.run(stub.url, options=[*PRICES, "--budget-usd", "9", "--max-tokens", "512"])
    assert (run.status, run.states) == (0, {"ok": 40}), "40 x 220 tokens are $8.80, though 8 x 2,000 are more"


def test_what_failed_attempts_took_counts_against_the_budget(describing) -> None:
    seen: set[str] = set()

    def respond(asked: Asked):
        is_first = asked.picture not in seen
        seen.add(asked.picture)
        return completion("half a", "abort") if is_first and asked.number > 1 else completion(asked.text)

    stub = describing.serve(respond)
    run = describing.run(stub.url, options=[*PRICES, "--budget-usd", "4", "--max-tokens", "100", "--in-flight", "1"])
    assert run.status == 4
    assert 0.8 * 4 <= len(stub.asked) * 0.220 <= 1.2 * 4
