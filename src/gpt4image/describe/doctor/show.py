"""Shows test cards to an endpoint."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from gpt4image.describe.asking.missing import Ask, Request, Thinking
from gpt4image.describe.doctor.cards import Card
from gpt4image.describe.doctor.verdict import Examined
from gpt4image.describe.endpoint.options import EndpointOptions
from gpt4image.describe.endpoint.payload import encode_jpeg, to_data_url
from gpt4image.describe.endpoint.retries import RetryingClient
from gpt4image.describe.prompts.parse import Prompt


async def show_cards(
    cards: Sequence[Card], options: EndpointOptions, max_tokens: int, thinking: Thinking
) -> tuple[list[Examined], frozenset[str]]:
    """Asks about every card.

    Returns:
        the answers, and the fields the endpoint does not know.
    """
    async with aclosing(RetryingClient(options)) as client:

        async def show(card: Card) -> Examined:
            side = max(card.image.size)
            data_url = to_data_url(encode_jpeg(card.image.copy(), side))
            prompt = Prompt(card.kind, card.question)
            ask = Ask(0, "", prompt, card.question, Request(max_tokens, side, thinking))
            return Examined(card, await client.answer(ask, data_url))

        return await asyncio.gather(*map(show, cards)), client.pool.lanes[0].endpoint.refused_fields
