"""A chat server on loopback that really looks at the doctor's cards, with good eyes or bad ones.

    python card_server.py sees|blind|swapped|thinks|turned

It decodes the picture it is sent and measures it; it is not told what is on a card.
"""

import argparse
import asyncio
import base64
import io

import numpy as np
from aiohttp import web
from PIL import Image, ImageDraw, ImageFont

COLOURS = {"red": (220, 30, 30), "blue": (30, 50, 220), "green": (30, 160, 50), "yellow": (240, 210, 30)}


def look(pixels: np.ndarray, question: str) -> str:
    """Answers a question about RGB pixels, uint8 [H, W, 3], on white ground; names the main colour if asked no more."""
    if "in this picture" not in question:
        return f"mostly {name_colour(pixels.reshape(-1, 3))}, {'dark' if pixels.mean() < 100 else 'light'}"
    ink = pixels.min(axis=2) < 128
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if "colour" in question:
        return name_colour(pixels[ink])
    if "shape" in question:
        filled = {"square": 1.0, "circle": np.pi / 4, "triangle": 0.5}
        return min(filled, key=lambda name: abs(box.mean() - filled[name]))
    if "arrow" in question:
        return read_arrow(box)
    return read_digits(box)


def name_colour(pixels: np.ndarray) -> str:
    seen = np.median(pixels, axis=0)
    return min(COLOURS, key=lambda name: np.abs(seen - COLOURS[name]).sum())


def read_arrow(box: np.ndarray) -> str:
    """The head holds more ink than the tail, and the bar lies along the axis the arrow is longer in symmetry."""
    upper, lower = np.array_split(box, 2, axis=0)
    left, right = np.array_split(box, 2, axis=1)
    down, across = lower.sum() - upper.sum(), right.sum() - left.sum()
    if abs(down) > abs(across):
        return "down" if down > 0 else "up"
    return "right" if across > 0 else "left"


def read_digits(box: np.ndarray) -> str:
    """Cuts at the empty columns and compares each part with every digit."""
    filled = np.flatnonzero(box.any(axis=0))
    parts = np.split(filled, np.flatnonzero(np.diff(filled) > 1) + 1)
    known = {digit: draw_digit(digit) for digit in "0123456789"}
    seen = [scale(box[:, part[0] : part[-1] + 1]) for part in parts]
    return "".join(min(known, key=lambda digit: (known[digit] != part).mean()) for part in seen)


def draw_digit(digit: str) -> np.ndarray:
    image = Image.new("L", (200, 300), 255)
    ImageDraw.Draw(image).text((100, 150), digit, fill=0, font=ImageFont.load_default(size=150), anchor="mm")
    ink = np.asarray(image) < 128
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return scale(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def scale(ink: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(ink.any(axis=1))
    ink = ink[rows[0] : rows[-1] + 1]
    return np.asarray(Image.fromarray(ink.astype(np.uint8) * 255).resize((20, 30))) > 127


def make_reply(eyes: str, body: dict) -> dict:
    image_part, text_part = body["messages"][0]["content"]
    data = base64.b64decode(image_part["image_url"]["url"].partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    if eyes == "swapped":
        pixels = pixels[:, :, ::-1]
    if eyes == "turned":
        pixels = np.rot90(pixels)
    question = text_part["text"]
    if eyes == "blind":
        answer = "123" if "number" in question else question.split(": ")[-1].split(",")[0]
    else:
        answer = f"It is {look(pixels, question)}."
    message: dict = {"role": "assistant", "content": answer}
    if eyes == "thinks":
        message = {"role": "assistant", "content": f"<think>The user wants to know. {answer} But wait"}
    usage = {"prompt_tokens": 20 + pixels.shape[0] * pixels.shape[1] // 784, "completion_tokens": 4}
    return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


async def main(eyes: str) -> None:
    async def chat(request: web.Request) -> web.Response:
        return web.json_response(make_reply(eyes, await request.json()))

    app = web.Application(client_max_size=16 << 20)
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("eyes", choices=["sees", "blind", "swapped", "thinks", "turned"])
    asyncio.run(main(parser.parse_args().eyes))
