"""Keys, headers, certificates, proxies and URLs: each goes where it was meant to go, and nowhere else."""

import subprocess
import threading
import time
from pathlib import Path

import pytest
from tests.describe.endpoint.stubs import Answer, Asked, completion, failure

from gpt4image.describe.endpoint import connection
from gpt4image.describe.endpoint.keys import Key, choose_keys
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.errors import SettingsError


def answer(asked: Asked) -> Answer:
    return completion(asked.text)


def keys_sent(stub) -> set[str]:
    return {asked.headers.get("authorization", "") for asked in stub.asked}


@pytest.fixture(autouse=True)
def _no_key(monkeypatch) -> None:
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_each_endpoint_gets_its_own_key(describing, monkeypatch) -> None:
    stubs = [describing.serve(lambda asked: answer(asked)) for _ in range(3)]
    monkeypatch.setenv("KEY_A", "a-key")
    monkeypatch.setenv("KEY_B", "b-key")
    run = describing.run(*(stub.url for stub in stubs), options=["--api-key-env", "KEY_A", "KEY_B", "none"])
    assert run.status == 0
    assert [keys_sent(stub) for stub in stubs] == [{"Bearer a-key"}, {"Bearer b-key"}, {"Bearer none"}]


def test_a_key_that_is_echoed_everywhere_stands_nowhere(describing, monkeypatch) -> None:
    key = "sk-echoed-123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)

    def respond(asked: Asked) -> Answer:
        if asked.number % 4 == 3:
            return failure(400, f"{key} may not")
        thought = {"reasoning_content": f"hm {key}"}
        return completion(f"{asked.text} {key}", message=thought, model=f"m-of-{key}", id=key)

    run = describing.run(describing.serve(respond).url)
    assert "answered by m-of-***" in run.words
    assert any("***" in row.text for row in run.rows)
    assert key not in run.words
    assert not [path for path in describing.work.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]


def test_the_usual_key_goes_to_openai_alone_among_several_hosts(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    urls = ("http://localhost:8000/v1", "https://api.openai.com/v1", "https://openai.com.evil.example/v1")
    assert [key.read() for key in choose_keys(EndpointOptions(urls, "m"))] == ["", "secret", ""]
    assert [key.read() for key in choose_keys(EndpointOptions(urls[:1], "m"))] == ["secret"]


def test_a_key_file_is_read_again_when_it_changes(describing, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old\n")

    def respond(asked: Asked) -> Answer:
        is_over = asked.number > 10 and asked.headers["authorization"] != "Bearer new"
        return failure(401, "this token is over") if is_over else answer(asked)

    def renew() -> None:
        while len(stub.asked) <= 10:
            time.sleep(0.01)
        time.sleep(1)
        file.write_text("new\n")

    stub = describing.serve(respond)
    threading.Thread(target=renew, daemon=True).start()
    run = describing.run(stub.url, options=["--api-key-file", str(file)])
    assert (run.status, run.states) == (0, {"ok": 40})
    assert run.words.count(f"{stub.url}: refuses the key; waits for another one in {file}; waits until ") == 1
    assert keys_sent(stub) == {"Bearer old", "Bearer new"}
    assert 40 < len(stub.asked) <= 40 + 8


def test_a_key_file_that_does_not_change_stops_the_run_and_keeps_what_was_answered(
    describing, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(connection, "KEY_PATIENCE_S", 1.0)
    (tmp_path / "key").write_text("old")
    stub = describing.serve(lambda asked: answer(asked) if asked.number <= 10 else failure(401, "this token is over"))
    run = describing.run(stub.url, options=["--api-key-file", str(tmp_path / "key")])
    assert (run.status, run.states) == (4, {"ok": 10})
    assert "this token is over; check the API key" in run.out


@pytest.mark.parametrize("key", ["sk-key\n", "  sk-key\r\n"])
def test_a_key_copied_with_a_line_end_is_the_key(describing, monkeypatch, key) -> None:
    stub = describing.serve(answer)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    assert describing.run(stub.url).status == 0
    assert keys_sent(stub) == {"Bearer sk-key"}


@pytest.mark.parametrize("key", ["“sk-key”", "sk\nkey", "sk-ключ"])
def test_a_key_with_what_no_key_has_is_one_line_without_the_key(describing, monkeypatch, key) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    run = describing.run(describing.serve(answer).url)
    assert run.status == 2
    assert "--api-key-env OPENAI_API_KEY holds " in run.err
    assert "copy it again" in run.err
    assert key not in run.err


def test_a_header_of_the_users_own_is_sent_and_no_made_up_key(describing, monkeypatch) -> None:
    def respond(asked: Asked) -> Answer:
        return answer(asked) if asked.headers.get("x-gate") == "let me in" else failure(401, "who are you?")

    monkeypatch.setenv("GATE", "let me in")
    stub = describing.serve(respond)
    run = describing.run(stub.url, options=["--header", "X-Gate=GATE"])
    assert (run.status, keys_sent(stub)) == (0, {""})
    assert describing.run(stub.url, work=describing.work / "without").status == 2


def test_deployment_urls_with_a_query_and_whole_urls(describing, monkeypatch) -> None:
    monkeypatch.setenv("AZURE_KEY", "azure")
    stub = describing.serve(answer)
    for number, url in enumerate(
        [
            f"{stub.root}/openai/deployments/d?api-version=2024-06-01",
            f"{stub.root}/openai/deployments/d/chat/completions?api-version=2024-06-01",
        ]
    ):
        run = describing.run(url, options=["--header", "api-key=AZURE_KEY"], work=describing.work / str(number))
        assert run.status == 0
    assert {asked.path for asked in stub.asked} == {"/openai/deployments/d/chat/completions?api-version=2024-06-01"}
    assert {asked.headers["api-key"] for asked in stub.asked} == {"azure"}


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    files = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    return files


def test_a_certificate_of_ones_own_needs_its_authority(describing, certificate, monkeypatch, tmp_path) -> None:
    stub = describing.serve(answer, certificate)
    run = describing.run(stub.url)
    assert (run.status, run.rows, stub.asked) == (2, [], [])
    assert "certificate that nobody here vouches for" in run.err
    assert "--ca-file" in run.err
    run = describing.run(stub.url, options=["--ca-file", certificate[0]], work=tmp_path / "1")
    assert (run.status, run.states, len(stub.asked)) == (0, {"ok": 40}, 40)
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    assert describing.run(stub.url, work=tmp_path / "2").status == 0


def test_a_host_that_only_the_proxy_can_find(describing, monkeypatch) -> None:
    stub = describing.serve(answer)
    url = "http://models.no-such-host.invalid/v1"
    run = describing.run(url, options=["--allow-remote"])
    assert run.status == 2
    assert "cannot be found" in run.err
    assert "HTTPS_PROXY" in run.err
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, stub.root)
    assert "add --allow-remote if that is intended" in describing.run(url).err
    run = describing.run(url, options=["--allow-remote"])
    assert (run.status, run.states, len(stub.asked)) == (0, {"ok": 40}, 40)
    assert {asked.path for asked in stub.asked} == {"http://models.no-such-host.invalid/v1/chat/completions"}


def test_a_redirect_is_never_followed(describing, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    other = describing.serve(answer)
    stub = describing.serve(lambda asked: Answer("", 307, {"Location": f"{other.url}/chat/completions"}))
    run = describing.run(stub.url)
    assert run.status == 2
    assert f"sends on to {other.url}; no image and no key is sent there unasked" in run.err
    assert other.asked == []


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_answers_from_the_reasoning(describing, reason) -> None:
    stub = describing.serve(lambda asked: completion(None, reason, message={"reasoning_content": asked.text}))
    run = describing.run(stub.url)
    assert run.states == {"reasoning_only": 40}
    assert ("--answer-from reasoning" in run.words) == (reason == "stop")
    run = describing.run(stub.url, options=["--answer-from", "reasoning", "--retry-failed"])
    assert run.states == ({"ok": 40} if reason == "stop" else {"reasoning_only": 40})
    assert reason == "length" or all(row.text.startswith("A grey thing") and not row.reasoning for row in run.rows)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--api-key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY names an environment variable that is not set"),
        (["--api-key-env", "PATH", "HOME"], "--api-key-env names 2 keys for 1 endpoints; give one, or one for each"),
        (["--api-key-file", "/no/such/file"], "--api-key-file /no/such/file cannot be read"),
        (["--header", "X-Key"], "--header X-Key must be NAME=ENVIRONMENT_VARIABLE"),
        (["--header", "X-Key=sk-123"], "what follows the = must name an environment variable that is set"),
        (["--ca-file", "/no/such.pem"], "--ca-file /no/such.pem holds no certificates that can be read"),
        (["--max-wait", "0"], "--max-wait 0"),
    ],
)
def test_mistakes_are_one_clear_line(describing, options, words) -> None:
    run = describing.run("http://127.0.0.1:9/v1", options=options)
    assert run.status == 2
    assert words in run.err
    assert "sk-123" not in run.err


def test_headers_of_several_hosts_and_keys_of_strange_files_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GATE", "x")
    urls = ("http://127.0.0.1:9/v1", "http://localhost:9/v1")
    from gpt4image.describe.endpoint.keys import read_headers

    with pytest.raises(SettingsError, match="endpoints of one host"):
        read_headers(EndpointOptions(urls, "m", header=("X-Gate=GATE",)))
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read"):
        Key(file=tmp_path / "key").read()
