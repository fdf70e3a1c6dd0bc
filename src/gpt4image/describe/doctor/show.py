"""Shows test cards to an endpoint."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from gpt4image.describe.asking.missing import Request, Thinking
from gpt4image.describe.doctor.cards import Card
from gpt4image.describe.doctor.verdict import Examined
from gpt4image.describe.endpoint.client import Question
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.payload import encode_jpeg, to_data_url
from gpt4image.describe.endpoint.retries import RetryingClient


async def show_cards(
    cards: Sequence[Card], options: EndpointOptions, max_tokens: int, thinking: Thinking
) -> tuple[list[Examined], set[str]]:
    """Asks about every card.

    Returns:
        the answers, and the fields the endpoint does not know.
    """
    async with AsyncExitStack() as stack:
        client = await RetryingClient.open(options, stack)

        async def show(card: Card) -> Examined:
            side = max(card.image.size)
            data_url = to_data_url(encode_jpeg(card.image.copy(), side))
            answer = await client.answer(Question(card.question, data_url, Request(max_tokens, side, thinking)))
            return Examined(card, answer.reply, answer.seconds)

        return await asyncio.gather(*map(show, cards)), client.pool.lanes[0].endpoint.refused_fields
