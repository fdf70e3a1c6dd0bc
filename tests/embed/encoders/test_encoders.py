"""Text encoders: batches, precision, long texts, endpoints on a real server."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from gpt4image.cli import main
from gpt4image.embed import EmbeddingTable, EmbedSettings, embed
from gpt4image.embed.encoders.batches import batches_by_length
from gpt4image.embed.encoders.encoder import Access
from gpt4image.embed.encoders.load import load_encoder
from gpt4image.embed.encoders.precision import lower_precision
from gpt4image.errors import EncoderError, EndpointError, UnavailableError


def test_batches_hold_every_text_once_pad_little_and_keep_to_their_size() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, 2000)
    batches = list(batches_by_length(lengths, 512))
    assert sorted(np.concatenate(batches).tolist()) == list(range(2000))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert max(len(batch) * lengths[batch].max() for batch in batches) <= 512
    assert padded < 1.02 * lengths.sum()
    assert len(batches) < 1.3 * lengths.sum() / 512 + 57
    assert [batch.tolist() for batch in batches_by_length([900, 1, 900], 512)] == [[1], [0], [2]]
    assert list(batches_by_length([], 512)) == []


def test_vectors_come_in_the_order_of_the_texts(tiny_encoder: str) -> None:
    encoder = load_encoder(tiny_encoder, "cpu")
    texts = [" ".join(f"word{(number * k) % 60}" for k in range(1 + number % 7)) for number in range(50)]
    together = encoder.encode(texts)
    assert together == pytest.approx(np.concatenate([encoder.encode([text]) for text in texts]), abs=1e-5)


COLOURS, THINGS = ("red", "blue", "grey"), ("shoe", "cat", "coat with a fur collar", "lamp")
PLACES = ("table", "wide wooden floor", "wall")
TEXTS = [f"A {colour} {thing} on a {place}." for colour in COLOURS for thing in THINGS for place in PLACES]


def test_bf16_stays_close_to_float32_and_is_really_used() -> None:
    plain = load_encoder("minilm", "cpu").encode(TEXTS)
    encoder = load_encoder("minilm", "cpu")
    least = lower_precision(encoder, "bf16", TEXTS)
    cosines = (encoder.encode(TEXTS) * plain).sum(axis=1)
    assert 0.999 < least < 0.999999
    assert 0.9985 < cosines.min() < 0.999999


def test_a_precision_that_moves_vectors_is_refused(tiny_encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(tiny_encoder, "cpu")
    monkeypatch.setattr("gpt4image.embed.encoders.precision.LEAST_COSINE", 0.9999999)
    with pytest.raises(EncoderError, match=r"--precision bf16 moves vectors of .* to a cosine of 0\.99"):
        lower_precision(encoder, "bf16", [f"word{number} word1" for number in range(40)])


def test_long_texts_are_pooled_over_their_sentences(tiny_encoder: str) -> None:
    """The encoder reads 8 tokens, two of them special."""
    plain, pooled = load_encoder(tiny_encoder, "cpu"), load_encoder(tiny_encoder + "+pool", "cpu")
    short, first, second = "word9 word8", "word1 word2 word3 word4 .", "word5 word6 word7 ."
    long = f"{first} {second}"
    vectors = pooled.encode([short, long])
    assert vectors[0] == pytest.approx(plain.encode([short])[0], abs=1e-6)
    by_hand = np.array(plain.count_tokens([first, second])) @ plain.encode([first, second])
    assert vectors[1] == pytest.approx(by_hand / np.linalg.norm(by_hand), abs=1e-5)
    assert abs(vectors[1] - plain.encode([long])[0]).max() > 0.01, "what is behind the cut counts"
    too_long = "word1 " * 20
    assert [count > 8 for count in pooled.count_tokens([short, long, too_long])] == [False, False, True]


def test_pooled_texts_have_a_table_of_their_own(write_texts, tiny_encoder: str) -> None:
    work = write_texts({"a": "word1 word2 word3 word4 . word5 word6 word7 .", "b": "word1"})
    cut = embed(EmbedSettings(work, tiny_encoder))
    pooled = embed(EmbedSettings(work, tiny_encoder, long_texts="pool"))
    assert (cut.num_truncated, pooled.num_truncated) == (1, 0)
    assert cut.folder != pooled.folder
    assert EmbeddingTable.open(pooled.folder).manifest["encoder"] == tiny_encoder + "+pool"


def run_command(*words: object) -> str:
    """What a command prints to the terminal as its error."""
    command = [sys.executable, "-m", "gpt4image.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True).stderr


class EmbeddingServer:
    """An embeddings API on loopback: vectors tell their text; answers come in no order, and some fail at first."""

    def __init__(self) -> None:
        self.requests: list[dict] = []
        self.keys: set[str | None] = set()
        self.width, self.failures, self.loses = 5, 0, 0
        self.failure: tuple[int, str, dict[str, str]] = (429, "slow down", {"Retry-After": "0.01"})
        self.asked: list[web.Request] = []
        self.fails_after: int | None = None
        self.stops_after: int | None = None
        self.good_key = ""
        self.url = ""

    def vector_of(self, text: str) -> list[float]:
        return np.random.default_rng(len(text) * 1000 + sum(map(ord, text))).normal(size=self.width).tolist()

    async def embeddings(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.keys.add(request.headers.get("Authorization"))
        self.asked.append(request)
        if self.good_key and request.headers.get("Authorization") != f"Bearer {self.good_key}":
            return web.json_response({"error": {"message": "this token is over"}}, status=401)
        if body["model"] != "e5":
            return web.json_response({"error": {"message": "no such model"}}, status=404)
        if self.failures or (self.fails_after is not None and len(self.requests) >= self.fails_after):
            self.failures = max(self.failures - 1, 0)
            status, words, headers = self.failure
            return web.json_response({"error": {"message": words}}, status=status, headers=headers)
        if self.stops_after is not None and len(self.requests) >= self.stops_after:
            await asyncio.sleep(0.5)  # What was answered before has arrived by then.
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.5)
            return web.Response(status=500)
        self.requests.append(body)
        data = [
            {"object": "embedding", "index": place, "embedding": self.vector_of(text)}
            for place, text in enumerate(body["input"])
        ]
        data = data[self.loses :][::-1]
        return web.json_response({"object": "list", "data": data, "model": "e5", "usage": {}})


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    served, loop, started = EmbeddingServer(), asyncio.new_event_loop(), threading.Event()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/embeddings", served.embeddings)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    def serve() -> None:
        runner = loop.run_until_complete(start())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=serve)
    thread.start()
    started.wait()
    yield served
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_an_endpoints_vectors_belong_to_their_texts(server, write_texts, monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", "sesame")
    texts = {f"{number:03}": "word " * (number + 1) for number in range(150)}
    work = write_texts(texts)
    server.failures = 2
    settings = EmbedSettings(work, f"endpoint:{server.url}#e5", name="texts", api_key_env="MY_KEY")
    result = embed(settings)
    assert (result.num_rows, result.num_truncated, result.dimension) == (150, 0, 5)
    table = EmbeddingTable.open(result.folder)
    for digest, vector in zip(table.rows["digest"].to_pylist(), table.vectors, strict=True):
        wanted = np.array(server.vector_of(texts[digest]))
        assert vector == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-3)
    assert server.keys == {"Bearer sesame"}
    assert max(len(body["input"]) for body in server.requests) == 64
    asked = len(server.requests)
    assert embed(settings).num_new == 0
    assert len(server.requests) == asked
    assert "sesame" not in json.dumps(table.manifest)


def test_an_embeddings_endpoint_is_reached_as_those_that_describe(server, write_texts, monkeypatch, tmp_path) -> None:
    """Headers, a key in a file that is read again, and a query in the base URL."""
    monkeypatch.setenv("GATE", "let me in")
    (tmp_path / "key").write_text("old-key\n")
    server.good_key = "old-key"
    access = Access(api_key_file=(tmp_path / "key",), header=("X-Gate=GATE",))
    encoder = load_encoder(f"endpoint:{server.url}?api-version=7#e5", access=access)
    server.good_key = "new-key"
    threading.Timer(1.0, (tmp_path / "key").write_text, ["new-key\n"]).start()
    assert encoder.encode(["a", "b"]).shape == (2, 5)
    assert {request.headers["X-Gate"] for request in server.asked} == {"let me in"}
    assert {request.query_string for request in server.asked} == {"api-version=7"}
    assert server.keys == {"Bearer old-key", "Bearer new-key"}
    work = write_texts({"a": "a"})
    told = run_command("embed", work, "--encoder", f"endpoint:{server.url}#e5", "--header", "X-Gate=let-me-in-secretly")
    assert "what follows the = must name an environment variable that is set" in told
    assert "secretly" not in told


def test_waits_of_an_embeddings_endpoint_are_borne_within_bounds(server, capsys, monkeypatch) -> None:
    monkeypatch.setattr("gpt4image.describe.endpoint.pacing.FIRST_PAUSE_S", 0.01)
    access = Access(max_wait_s=20)
    encoder = load_encoder(f"endpoint:{server.url}#e5", access=access)
    server.failures, server.failure = 7, (503, "Loading the model", {"Retry-After": "0.05"})
    assert encoder.encode(["a"]).shape == (1, 5), "more often than there are retries"
    server.failures, server.failure = 1, (429, "enough", {"Retry-After": "86400"})
    with pytest.raises(
        UnavailableError, match=r"enough and asks to wait until \d{4}-.*, .* longer than --max-wait 20 s"
    ):
        encoder.encode(["a"])
    server.failures, server.failure = 1, (429, "not so fast", {"Retry-After": "6"})
    assert encoder.encode(["a"]).shape == (1, 5)
    assert "not so fast; waits until" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failure", "status", "words"),
    [
        ((429, "come back tomorrow", {"Retry-After": "86400"}), 4, "is longer than --max-wait 600 s"),
        ((500, "the card fell off", {}), 4, "status 500: the card fell off, 6 times; try again later"),
        ((402, "no credit", {}), 2, "no credit; add credit"),
        ((400, "no such thing", {}), 2, "refuses 64 texts: status 400: no such thing"),
    ],
)
def test_what_was_answered_is_kept_when_an_embeddings_endpoint_fails(
    server, write_texts, monkeypatch, capsys, failure, status: int, words: str
) -> None:
    monkeypatch.setattr("gpt4image.describe.endpoint.retries.FIRST_PAUSE_S", 0.01)
    work = write_texts({f"{number:03}": f"text {number}" for number in range(640)})
    command = ["embed", str(work), "--encoder", f"endpoint:{server.url}#e5"]
    server.fails_after, server.failure = 4, failure
    assert main(command) == status
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told
    server.fails_after = None
    assert main(command) == 0
    asked = [text for body in server.requests for text in body["input"] if text != "a"]
    assert sorted(asked) == sorted({f"text {number}" for number in range(640)}), "none is paid for twice"


def test_what_was_answered_is_kept_when_the_command_is_stopped(server, write_texts, capsys) -> None:
    work = write_texts({f"{number:03}": f"text {number}" for number in range(640)})
    command = ["embed", str(work), "--encoder", f"endpoint:{server.url}#e5"]
    server.stops_after = 8
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(command) == 4
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "Traceback" not in capsys.readouterr().err
    server.stops_after = None
    assert main(command) == 0
    asked = [text for body in server.requests for text in body["input"] if text != "a"]
    assert len(set(asked)) == 640
    assert len(asked) == 640, "none is paid for twice"


def test_endpoint_in_a_running_event_loop(server) -> None:
    async def in_a_notebook() -> np.ndarray:
        return load_encoder(f"endpoint:{server.url}#e5").encode(["a", "b"])

    assert asyncio.run(in_a_notebook()).shape == (2, 5)


def test_what_an_endpoint_does_wrong_is_one_clear_line(server) -> None:
    encoder = load_encoder(f"endpoint:{server.url}#e5")
    server.loses = 1
    with pytest.raises(EncoderError, match="sent 2 vectors for 3 texts"):
        encoder.encode(["a", "b", "c"])
    server.loses, server.width = 0, 6
    with pytest.raises(EncoderError, match="vectors of width 6 after some of 5"):
        encoder.encode(["a"])
    with pytest.raises(EncoderError, match="precision of an endpoint is set where its server is started"):
        lower_precision(load_encoder(f"endpoint:{server.url}#e5"), "bf16", ["a"])
    with pytest.raises(EncoderError, match=r"status 404: .*no such model.* \(in --encoder endpoint:URL#MODEL\)"):
        load_encoder(f"endpoint:{server.url}#other")


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("endpoint:http://127.0.0.1:9/v1", EncoderError, "must have the form endpoint:URL#MODEL"),
        ("endpoint:http://8.8.8.8/v1#m", EndpointError, "would see every description; add --allow-remote"),
    ],
)
def test_endpoints_that_are_not_asked(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        load_encoder(name)


@pytest.mark.parametrize("encoder", ["minilm", "open_clip:RN50/openai"])
@pytest.mark.parametrize("device", ["cuda:99", "mps:7", "gpu"])
def test_a_device_that_is_not_there_is_named(write_texts, encoder: str, device: str, capsys) -> None:
    work = write_texts({"a": "a grey cat"})
    assert main(["embed", str(work), "--encoder", encoder, "--device", device]) == 2
    assert f"device '{device}' cannot be used here" in capsys.readouterr().err


def test_a_clip_text_tower_with_random_weights_goes_through_the_stage(write_texts, monkeypatch, tmp_path: Path) -> None:
    """Real tokenizer, real tower."""
    import open_clip

    tower = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    vision = {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": tower}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", config)
    work = write_texts({"a": "a grey cat", "b": "dog " * 100, "c": "a grey cat. " * 30})
    result = embed(EmbedSettings(work, "open_clip:tiny", device="cpu"))
    assert (result.num_rows, result.num_truncated, result.dimension, result.max_tokens) == (3, 2, 24, 77)
    vectors = EmbeddingTable.open(result.folder).vectors.astype(np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-2)
    pooled = embed(EmbedSettings(work, "open_clip:tiny", device="cpu", long_texts="pool"))
    assert pooled.num_truncated == 1, "one sentence of a hundred words"
    encoder = load_encoder("open_clip:tiny", "cpu")
    before = encoder.encode(["a grey cat"])
    encoder.lower_precision("bf16")
    # Of 24 random channels; a real tower is verified before it is used.
    assert 0.99 < float((before * encoder.encode(["a grey cat"])).sum()) < 0.9999999
