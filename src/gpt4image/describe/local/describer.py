"""The local describer: an image-text-to-text model of transformers in this process, asked batch by batch."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from gpt4image.describe.asking.missing import Ask, Wanted
from gpt4image.describe.asking.record import Recorder
from gpt4image.describe.asking.reply import Reply, judge_answer
from gpt4image.errors import ModelError, UnreadableImageError
from gpt4image.images import ImageSet


class LocalDescriber:
    """Model and processor on one device; halves the batch when memory does not suffice."""

    def __init__(self, model: str, device: str = "auto", temperature: float | None = None, batch_size: int = 8) -> None:
        """Loads the model.

        Args:
            model: name on the Hugging Face hub, or a folder.
            device: `cuda`, `mps`, `cpu`, or `auto` for the accelerator that is there.
            temperature: of the sampling; None for the model's own way of generating.
            batch_size: images at once.

        Raises:
            ModelError: there is no such model, it does not take images, or there is no such device.
        """
        self._batch_size = batch_size
        logging.disable_progress_bar()
        try:
            there = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
            self._device = torch.device((there or "cpu") if device == "auto" else device)
            self._processor = AutoProcessor.from_pretrained(model)
            self._model: Any = AutoModelForImageTextToText.from_pretrained(model, dtype="auto").eval()
            self._model.to(self._device)
        except (OSError, ValueError, KeyError, RuntimeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"--model {model} cannot be loaded as an image-text-to-text model on {device}: {reason}; "
                "give a folder or hub name that transformers knows"
            ) from error
        tokenizer = getattr(self._processor, "tokenizer", self._processor)
        tokenizer.padding_side = "left"
        self._decode = tokenizer.decode
        ends, pad = self._model.generation_config.eos_token_id, self._model.generation_config.pad_token_id
        self._ends = torch.tensor(ends if isinstance(ends, list) else [ends])
        self._pad = int(self._ends[0]) if pad is None else pad
        self._sampling: dict[str, Any] = (
            {} if temperature is None else {"do_sample": temperature > 0, "temperature": temperature or None}
        )

    def answer(self, wanted: Wanted, recorder: Recorder) -> str:
        """As `Describer.answer`."""
        for batch in _batches(wanted.asks(recorder.store), self._batch_size):
            if reason := recorder.rules.reason(in_flight=0):
                return reason
            start = time.monotonic()
            pictures = _decode(batch, wanted.images, recorder)
            replies = self._generate([image for _, image in pictures], [ask for ask, _ in pictures])
            seconds = (time.monotonic() - start) / len(batch)
            for (ask, _), reply in zip(pictures, replies, strict=True):
                recorder.record(ask, replace(reply, seconds=seconds))
        return ""

    def _generate(self, images: Sequence[Image.Image], asks: Sequence[Ask]) -> list[Reply]:
        """One reply an image; all asks have the same request."""
        if not images:
            return []
        try:
            return self._generate_batch(images, asks)
        except torch.OutOfMemoryError:
            if len(images) == 1:
                raise
        torch.cuda.empty_cache()
        half = len(images) // 2
        return self._generate(images[:half], asks[:half]) + self._generate(images[half:], asks[half:])

    def _generate_batch(self, images: Sequence[Image.Image], asks: Sequence[Ask]) -> list[Reply]:
        inputs = self._encode(images, asks)
        # The same images and samples give the same texts again, whatever ran before.
        torch.manual_seed(int(asks[0].digest[:8], 16) + asks[0].sample)
        with torch.inference_mode():
            output = self._model.generate(
                **inputs, max_new_tokens=asks[0].request.max_tokens, pad_token_id=self._pad, **self._sampling
            )
        written = output[:, inputs["input_ids"].shape[1] :]
        tokens_in = inputs["attention_mask"].sum(dim=1).tolist()
        as_json = asks[0].prompt.is_flattened
        return [self._read(row, read, as_json) for row, read in zip(written, tokens_in, strict=True)]

    def _encode(self, images: Sequence[Image.Image], asks: Sequence[Ask]) -> Any:
        conversations = [
            [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": ask.words}]}]
            for image, ask in zip(images, asks, strict=True)
        ]
        inputs = self._processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
            **asks[0].request.thinking.template_fields,
        )
        return inputs.to(self._device, dtype=self._model.dtype)

    def _read(self, written: torch.Tensor, tokens_in: int, as_json: bool) -> Reply:
        ends = torch.isin(written, self._ends.to(written.device)).nonzero()
        length = int(ends[0]) if len(ends) else len(written)
        text = self._decode(written[:length], skip_special_tokens=True)
        finish = "stop" if len(ends) else "length"
        tokens_out = min(length + 1, len(written))
        return judge_answer(text, finish=finish, tokens=(int(tokens_in), tokens_out), as_json=as_json)


def _batches(asks: Iterator[Ask], batch_size: int) -> Iterator[Sequence[Ask]]:
    """Asks that are made the same way, at most `batch_size` together."""
    for _, alike in groupby(asks, key=lambda ask: (ask.request, ask.prompt.is_flattened)):
        while batch := list(islice(alike, batch_size)):
            yield batch


def _decode(batch: Sequence[Ask], images: ImageSet, recorder: Recorder) -> list[tuple[Ask, Image.Image]]:
    """The images of a batch, scaled down; those that cannot be decoded are recorded at once."""
    decoded = []
    for ask in batch:
        side = ask.request.image_size
        try:
            image = images.decode(ask.index, draft_size=(side, side))
        except UnreadableImageError as error:
            recorder.record(ask, Reply.unreadable(error))
            continue
        image.thumbnail((side, side), Image.Resampling.BICUBIC)
        decoded.append((ask, image))
    return decoded
