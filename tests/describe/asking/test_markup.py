"""Thinking and marks of the template are taken out by their form, whatever they are called."""

import pytest

from gpt4image.describe.asking.markup import split_reasoning

CAT = "A grey cat on a sofa."


@pytest.mark.parametrize(
    "written",
    [
        f"<think>Hm.</think>{CAT}",
        f"<reflection>Hm.</reflection>\n{CAT}",
        f"◁think▷Hm.◁/think▷{CAT}",
        f"[THINK]Hm.[/THINK]{CAT}",
        f"<seed:think>Hm.</seed:think>{CAT}",
        f"<|begin_of_thought|>Hm.<|end_of_thought|>{CAT}",
        f"<|startofthink|>Hm.<|endofthink|>{CAT}",
        f"<|think|>Hm.<|/think|>{CAT}",
        f"<|channel>thought\nHm.<channel|>{CAT}",
        f"<unused94>thought\nHm.<unused95>{CAT}",
        f"<inner_voice>Hm.</inner_voice> {CAT}",
        f"<think>Hm.</think><answer>{CAT}</answer>",
        f"<think>Hm.</think><|begin_of_box|>{CAT}<|end_of_box|>",
        f"<reasoning>Hm.</reasoning><output>{CAT}",
        f"Hm.</think>{CAT}",
        f"Hm.◁/think▷{CAT}",
        f"{CAT}<think>Hm.</think>",
        f"Hm.<final_answer>{CAT}</final_answer>",
        f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>{CAT}<|return|>",
    ],
)
def test_thinking_is_kept_apart(written: str) -> None:
    assert split_reasoning(written) == (CAT, "Hm.")


@pytest.mark.parametrize(
    "written", ["<think>Hm", "◁think▷Hm", "[THINKING]Hm", "<|begin_of_thought|>Hm", "<my:thoughts>Hm"]
)
def test_thinking_without_end_is_no_answer(written: str) -> None:
    assert split_reasoning(written) == ("", "Hm")


@pytest.mark.parametrize(
    "written",
    [
        f"{CAT}<|im_end|>",
        f"{CAT}</s>",
        f"{CAT}<eos>",
        f"{CAT}<end_of_turn>\n<start_of_turn>user\nMore!",
        f"{CAT}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nMore!",
        f"{CAT}<｜end▁of▁sentence｜>",
        f"<|im_start|>assistant\n{CAT}<|im_end|>\n<|im_start|>user\nMore!",
        f"<start_of_turn>model\n{CAT}<end_of_turn>",
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{CAT}",
        f"ASSISTANT: {CAT}",
        f"Assistant:\n{CAT}",
        f"### Response: {CAT}",
        f"[/INST] {CAT}",
        f"<s>{CAT}</s>",
        f"<image>{CAT}",
        f"<p>{CAT}</p>",
        f"<answer>{CAT}</answer>",
        f"<answer>{CAT}",
        f"{CAT}</answer>",
        f"<caption>{CAT}</caption>",
        f"<|some_new_token|>{CAT}",
    ],
)
def test_marks_of_the_template_are_taken_out(written: str) -> None:
    assert split_reasoning(written) == (CAT, "")


@pytest.mark.parametrize(
    "text",
    [
        CAT,
        "A sign that says <EXIT>, and [1] more.",
        "Width < height, and 3 > 2.",
        "An assistant: a robot in a shop.",
        "A box with [FRAGILE] on it.",
        "红色的帽子",
        "He thinks </3 of it.",
    ],
)
def test_texts_are_left_as_they_are(text: str) -> None:
    assert split_reasoning(text) == (text, "")


@pytest.mark.parametrize("unit", ["<", "<a>", "<think>", "[AAA]", "<|x", "</a>", "<|a|>"])
def test_long_rubbish_takes_no_long_time(unit: str) -> None:
    import time

    start = time.process_time()
    split_reasoning(unit * (100_000 // len(unit)))
    assert time.process_time() - start < 5
