"""`gpt4image doctor`: does an endpoint really see images, how fast, and what does a picture cost?"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from gpt4image.describe.event_loop import outside_event_loops
from gpt4image.errors import SettingsError
from gpt4image.results import ExitStatus, StageResult, make_table

RETRIES, IN_FLIGHT, MAX_WAIT_S = 2, 2, 60.0


@dataclass(frozen=True)
class DoctorSettings:
    """Shows test cards to an endpoint and says whether it sees them.

    Attributes:
        endpoint: base URL, such as http://localhost:11434/v1.
        model: the model's name there.
        max_tokens: limit of an answer's length.
        thinking: whether a model that can think first shall do so; auto leaves it to the endpoint.
        timeout_s: seconds until an unanswered request counts as failed.
        extra_body: JSON object with further fields of every request.
        api_key_env: name of the environment variable that holds the API key.
        api_key_file: file that holds the API key instead.
        header: further headers as NAME=ENVIRONMENT_VARIABLE, such as api-key=AZURE_KEY.
        ca_file: PEM file of an authority that vouches for the endpoint's certificate; SSL_CERT_FILE if not given.
        answer_from: where the answer stands when the content is empty: reasoning for servers that put it there.
        allow_remote: allow an endpoint outside this machine and private networks.
        seed: other cards of the same kinds.
    """

    endpoint: str = ""
    model: str = ""
    max_tokens: int = 256
    thinking: Literal["auto", "on", "off"] = "auto"
    timeout_s: float = 180.0
    extra_body: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    api_key_file: Path | None = None
    header: tuple[str, ...] = ()
    ca_file: Path | None = None
    answer_from: Literal["content", "reasoning"] = "content"
    allow_remote: bool = False
    seed: int = 0


@dataclass(frozen=True)
class DoctorResult(StageResult):
    """What the cards told.

    Attributes:
        verdict: one line.
        change: what to change, or empty.
        is_fit: whether the endpoint is fit for describing.
        answers: for each card its kind, the right answer, what was given, and ✓, ✗ or why there was no answer.
        seconds: mean time of an answer.
        tokens_in: tokens of a request with a large card.
        tokens_in_small: tokens of the same request with a small one.
        tokens_out: mean tokens of an answer, thinking included.
        thinks: whether thinking came with the answers.
        refused_fields: request fields the endpoint does not know.
    """

    verdict: str
    change: str
    is_fit: bool
    answers: tuple[dict[str, str], ...]
    seconds: float
    tokens_in: int
    tokens_in_small: int
    tokens_out: float
    thinks: bool
    refused_fields: tuple[str, ...]

    @property
    def exit_status(self) -> ExitStatus:
        return ExitStatus.DONE if self.is_fit else ExitStatus.PARTLY

    def lines(self) -> Iterator[Any]:
        names = "kind", "right", "given", "state"
        yield make_table(("card", "right answer", "given", ""), ([one[name] for name in names] for one in self.answers))
        yield f"{self.seconds:.2f} s and {self.tokens_out:.0f} tokens an answer{', thinking included' * self.thinks}"
        yield f"a picture of 448 px: {self.tokens_in} tokens with the question, of 112 px: {self.tokens_in_small}"
        if self.refused_fields:
            yield f"fields it does not know: {', '.join(self.refused_fields)}"
        yield f"verdict: {self.verdict}"
        if self.change:
            yield f"change: {self.change}"


@outside_event_loops
def examine(settings: DoctorSettings) -> DoctorResult:
    """Shows eleven cards, and one of them again in small.

    Raises:
        SettingsError: the endpoint is no URL.
        EndpointError: the endpoint is not allowed, cannot be reached, or takes no request.
    """
    from gpt4image.describe.asking.missing import Thinking
    from gpt4image.describe.doctor.cards import SMALL_SIZE, make_cards
    from gpt4image.describe.doctor.show import show_cards
    from gpt4image.describe.doctor.verdict import judge
    from gpt4image.describe.endpoint.options import EndpointOptions, parse_extra_body
    from gpt4image.describe.endpoint.privacy import check_endpoints

    if not settings.model:
        raise SettingsError("doctor needs --model with the model's name at the endpoint")
    check_endpoints([settings.endpoint] if settings.endpoint else [], settings.allow_remote)
    options = EndpointOptions.take_from(
        settings,
        urls=(settings.endpoint,),
        extra=parse_extra_body(settings.extra_body),
        api_key_env=(settings.api_key_env,),
        api_key_file=(settings.api_key_file,) if settings.api_key_file else (),
        retries=RETRIES,
        in_flight=IN_FLIGHT,
        max_wait_s=MAX_WAIT_S,
    )
    cards = make_cards(settings.seed)
    small = replace(cards[0], image=cards[0].image.resize((SMALL_SIZE, SMALL_SIZE)))
    thinking = Thinking(settings.thinking)
    answers, refused_fields = asyncio.run(show_cards([*cards, small], options, settings.max_tokens, thinking))
    examined = answers[:-1]
    verdict = judge(examined)
    answered = [one for one in examined if one.reply.tokens_in] or examined
    return DoctorResult(
        verdict=verdict.words,
        change=verdict.change,
        is_fit=verdict.is_fit,
        answers=tuple(one.row for one in examined),
        seconds=fmean(one.reply.seconds for one in answered),
        tokens_in=examined[0].reply.tokens_in,
        tokens_in_small=answers[-1].reply.tokens_in,
        tokens_out=fmean(one.reply.tokens_out for one in answered),
        thinks=any(one.reply.reasoning for one in examined),
        refused_fields=tuple(sorted(refused_fields)),
    )
