"""Sends the test cards to an endpoint."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from gpt4image.describe.asking.missing import Request, Thinking
from gpt4image.describe.doctor.cards import Card, make_cards
from gpt4image.describe.doctor.stage import SMALL_SIDE, DoctorSettings
from gpt4image.describe.doctor.verdict import Examined
from gpt4image.describe.endpoint.attempts import Asker
from gpt4image.describe.endpoint.client import Question
from gpt4image.describe.endpoint.lanes import open_lane
from gpt4image.describe.endpoint.payload import encode_jpeg, to_data_url
from gpt4image.describe.endpoint.pool import Pool
from gpt4image.describe.endpoint.privacy import check_endpoints
from gpt4image.describe.endpoint.rate_limit import RateLimits
from gpt4image.describe.settings import DescribeSettings
from gpt4image.errors import SettingsError

RETRIES, IN_FLIGHT = 2, 2


def show_cards(settings: DoctorSettings) -> tuple[Sequence[Examined], Examined, set[str]]:
    """Asks about every card.

    Returns:
        the answers, that about the first card once more in small, and the fields the endpoint does not know.
    """
    if not settings.model:
        raise SettingsError("doctor needs --model with the model's name at the endpoint")
    check_endpoints([settings.endpoint] if settings.endpoint else [], settings.allow_remote)
    return asyncio.run(_show(settings))


async def _show(settings: DoctorSettings) -> tuple[Sequence[Examined], Examined, set[str]]:
    cards = make_cards(settings.seed)
    small = replace(cards[0], image=cards[0].image.resize((SMALL_SIDE, SMALL_SIDE)))
    async with AsyncExitStack() as stack:
        lane = await open_lane(settings.endpoint, _as_describing(settings), stack)
        asker = Asker(Pool([lane]), RateLimits(None, None, 0), RETRIES)
        answers = await asyncio.gather(*(_ask(asker, card, settings) for card in [*cards, small]))
        return answers[:-1], answers[-1], lane.endpoint.refused_fields


async def _ask(asker: Asker, card: Card, settings: DoctorSettings) -> Examined:
    data_url = to_data_url(encode_jpeg(card.image.copy(), max(card.image.size)))
    request = Request(settings.max_tokens, max(card.image.size), Thinking(settings.thinking))
    answer = await asker.answer(Question(card.question, data_url, request))
    return Examined(card, answer.reply, answer.seconds)


def _as_describing(settings: DoctorSettings) -> DescribeSettings:
    """The same endpoint as the describe stage would use it."""
    from pathlib import Path

    return DescribeSettings(
        images="",
        work=Path(),
        endpoint=(settings.endpoint,),
        model=settings.model,
        in_flight=IN_FLIGHT,
        timeout_s=settings.timeout_s,
        extra_body=settings.extra_body,
        api_key_env=settings.api_key_env,
    )
