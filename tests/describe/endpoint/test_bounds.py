"""What an endpoint may send is limited, in bytes, unpacked, and in seconds; what breaks that is asked for again."""

import gzip
import tracemalloc

import pytest
from tests.describe.endpoint.stubs import Answer, Asked, completion

BOMB = gzip.compress(bytes(200_000_000), compresslevel=1)
ENDLESS = Answer(BOMB, headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ENDLESS, id="two hundred megabytes, packed"),
        pytest.param(Answer(bytes(20_000_000)), id="twenty megabytes"),
        pytest.param(Answer(completion("a text").payload, seconds_a_byte=0.1), id="a byte now and then"),
        pytest.param(
            Answer(completion("a text").body, headers={"X-Long": "x" * 20_000}), id="20,000 letters in a header"
        ),
    ],
)
def test_an_answer_out_of_bounds_is_asked_for_again(describing, answer: Answer) -> None:
    stub = describing.serve(lambda asked: answer if asked.number == 5 else completion(asked.text))
    run = describing.run(stub.url, options=["--timeout-s", "3"])
    assert (run.status, run.states) == (0, {"ok": 40})
    assert len(stub.asked) == 41
    assert all(row.text.startswith("A grey thing") for row in run.rows)


def test_what_is_unpacked_stays_small_and_is_said(describing) -> None:
    stub = describing.serve(lambda asked: ENDLESS)
    tracemalloc.start()
    run = describing.run(stub.url, options=["--in-flight", "1", "--retries", "0"])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (run.status, run.rows) == (2, [])
    assert "the answer is longer than 16,777,216 bytes" in run.err
    assert most < 200_000_000


def test_a_packed_answer_is_unpacked_once(describing) -> None:
    def respond(asked: Asked) -> Answer:
        return Answer(gzip.compress(completion(asked.text).payload), headers={"Content-Encoding": "gzip"})

    assert describing.run(describing.serve(respond).url).states == {"ok": 40}
