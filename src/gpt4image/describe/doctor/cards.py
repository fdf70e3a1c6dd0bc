"""Test cards: pictures whose content is known, and the questions that only seeing can answer."""

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

SIZE, SMALL_SIZE = 448, 112
"""A second size of one card tells what a picture costs."""
COLOURS = {"red": (220, 30, 30), "blue": (30, 50, 220), "green": (30, 160, 50), "yellow": (240, 210, 30)}
SHAPES = ("circle", "square", "triangle")
DIRECTIONS = ("up", "right", "down", "left")
WHICH_COLOUR = "Which colour does the shape in this picture have? Answer with one word: red, blue, green or yellow."
WHICH_SHAPE = "Which shape is in this picture? Answer with one word: circle, square or triangle."
LOW, HIGH = SIZE // 4, 3 * SIZE // 4


@dataclass(frozen=True)
class Card:
    """One test card.

    Attributes:
        kind: `colour`, `shape`, `digits` or `orientation`.
        image: the picture, RGB.
        question: what is asked about it.
        answer: the only right answer, one word.
        choices: the answers there are; empty for digits.
    """

    kind: str
    image: Image.Image
    question: str
    answer: str
    choices: tuple[str, ...] = ()


def make_cards(seed: int = 0) -> list[Card]:
    """Eleven cards, none of which can be guessed from the others."""
    chance = random.Random(seed)
    coloured = [(name, _draw_shape(chance.choice(SHAPES), name)) for name in ("red", "blue", "green")]
    colours = [Card("colour", image, WHICH_COLOUR, name, tuple(COLOURS)) for name, image in coloured]
    shaped = [(shape, _draw_shape(shape, chance.choice(["green", "yellow"]))) for shape in SHAPES]
    shapes = [Card("shape", image, WHICH_SHAPE, shape, SHAPES) for shape, image in shaped]
    digits = [_digits_card("".join(chance.sample("23456789", 3))) for _ in range(2)]
    arrows = [_arrow_card(direction) for direction in chance.sample(DIRECTIONS, 3)]
    cards = colours + shapes + digits + arrows
    chance.shuffle(cards)
    return cards


def _digits_card(digits: str) -> Card:
    image = Image.new("RGB", (SIZE, SIZE), "white")
    font = ImageFont.load_default(size=SIZE // 3)
    ImageDraw.Draw(image).text((SIZE // 2, SIZE // 2), digits, fill="black", font=font, anchor="mm")
    return Card("digits", image, "Which number is written in this picture? Answer with the digits only.", digits)


def _arrow_card(direction: str) -> Card:
    image = Image.new("RGB", (SIZE, SIZE), "white")
    draw, middle, width = ImageDraw.Draw(image), SIZE // 2, SIZE // 16
    draw.rectangle((middle - width, middle, middle + width, HIGH), fill="black")
    draw.polygon([(LOW, middle), (middle, LOW), (HIGH, middle)], fill="black")
    turned = image.rotate(-90 * DIRECTIONS.index(direction))
    question = "Where does the arrow in this picture point? Answer with one word: up, down, left or right."
    return Card("orientation", turned, question, direction, DIRECTIONS)


def _draw_shape(shape: str, colour: str) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), "white")
    draw, fill = ImageDraw.Draw(image), COLOURS[colour]
    if shape == "circle":
        draw.ellipse((LOW, LOW, HIGH, HIGH), fill=fill)
    elif shape == "square":
        draw.rectangle((LOW, LOW, HIGH, HIGH), fill=fill)
    else:
        draw.polygon([(SIZE // 2, LOW), (HIGH, HIGH), (LOW, HIGH)], fill=fill)
    return image
