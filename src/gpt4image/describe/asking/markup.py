"""Takes apart what a model wrote: the answer, the thinking, and marks of the chat template that nobody took out."""

import re
from dataclasses import dataclass

NAME = r"[A-Za-z][\w.:▁-]{0,40}"
TAG = re.compile(
    rf"<(?P<end1>/?)(?P<name1>{NAME})>"
    rf"|\[(?P<end2>/?)(?P<name2>[A-Z_]{{3,40}})\]"
    rf"|[◁＜⟨](?P<end3>/?)(?P<name3>{NAME})[▷＞⟩]"
    rf"|<[|｜](?P<end4>/?)(?P<name4>{NAME})[|｜]?>"
    rf"|<(?P<end5>)(?P<name5>{NAME})[|｜]>"
)
"""A name between brackets of any kind; `<name|>` and `</name>` end what `<|name>` and `<name>` begin."""
BEGIN = re.compile(r"^(?:begin|start)_?of_?|[_-](?:begin|start)$")
END = re.compile(r"^end_?of_?|[_-]end$")
THINKS = re.compile(r"think|thought|reason|reflect|analy[sz]|scratch|ponder|monolog|deliberat", re.IGNORECASE)
ANSWERS = re.compile(r"answer|response|output|final|box|result|solution|description|caption|conclusion", re.IGNORECASE)
HTML = re.compile(r"</?(?:br?|div|em|h[1-6]|hr|i|li|ol|p|pre|small|span|strong|su[bp]|table|t[dr]|ul?)\s*/?>")
MOST_TAGS = 200
"""A text with more is no answer, and would take long to take apart."""
TURN_END = re.compile(
    r"<[|｜](?:im_end|eot_id|eom_id|end|endoftext|end_of_text|return|eos)[|｜]>|<[|｜]end▁of▁sentence[|｜]>"
    r"|<end_of_turn>|<end_of_utterance>|</s>|<eos>|\[/?INST\]",
)
SPECIAL = re.compile(
    r"<[|｜][^<>|｜\n]{1,40}[|｜]>|</?(?:s|eos|bos|pad|unk|image|img|unused\d+)>|<(?:start|end)_of_\w{1,20}>|\[/?INST\]"
)
ROLE = re.compile(r"^\s*(?:#{1,4}\s*)?(?:assistant|response)\s*(?::|\n)\s*", re.IGNORECASE)
ROLE_LINE = re.compile(r"(<[|｜](?:im_start|start|start_header_id)[|｜]>|<start_of_turn>)\s*(?:assistant|model)\b")
UNUSED = re.compile(r"<unused\d+>thought\b(.*?)(?:<unused\d+>|$)", re.DOTALL)
"""Thinking of Gemma's offspring."""
HARMONY = re.compile(r"<\|channel\|>(\w+)[^<]*<\|message\|>(.*?)(?=<\|(?:end|start|channel|return)\|>|$)", re.DOTALL)
CHANNEL = re.compile(r"<\|channel>(\w+)\s*(.*?)(?:<channel\|>|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Tag:
    """A tag in a text: where it lies, its name, and whether it ends something."""

    start: int
    stop: int
    name: str
    is_end: bool

    @property
    def is_known(self) -> bool:
        """Whether its name says what it holds."""
        return bool(THINKS.search(self.name) or ANSWERS.search(self.name))

    @property
    def holds_answer(self) -> bool:
        return bool(ANSWERS.search(self.name)) and not THINKS.search(self.name)


def split_reasoning(content: str) -> tuple[str, str]:
    """Takes thinking that leaked into the answer, and marks of the template, out of it.

    Paired tags are told by their form, in whatever brackets. Those whose name speaks of thinking hold thinking; those
    whose name speaks of an answer hold the answer, and what stands outside them is none; others that come before any
    text hold thinking, too. Tags of HTML are left out and their text is kept.

    Returns:
        the answer and the thinking, both stripped.
    """
    thoughts: list[str] = []
    content = _take_channels(HTML.sub("", content), thoughts)
    content = _take_pairs(content, thoughts)
    content = _take_late_end(content, thoughts)
    answer = _strip_marks(content)
    return answer, "\n".join(filter(None, (_strip_marks(thought) for thought in thoughts)))


def _take_channels(content: str, thoughts: list[str]) -> str:
    """The final channel of the formats of gpt-oss (harmony) and Gemma."""
    if UNUSED.search(content):
        thoughts += UNUSED.findall(content)
        content = UNUSED.sub("", content)
    if "<|channel|>" in content:
        parts = HARMONY.findall(content)
        thoughts += [text for channel, text in parts if channel != "final"]
        return "".join(text for channel, text in parts if channel == "final")
    if "<|channel>" in content:
        parts = CHANNEL.findall(content)
        thoughts += [text for channel, text in parts if channel != "final"]
        return "".join(text for channel, text in parts if channel == "final") + CHANNEL.sub("", content)
    return content


def _find_tags(content: str) -> list[_Tag]:
    tags = []
    for match in TAG.finditer(content):
        if SPECIAL.fullmatch(match[0]) and not THINKS.search(match[0]) and not ANSWERS.search(match[0]):
            continue
        kind = next(number for number in "12345" if match[f"name{number}"])
        name = match[f"name{kind}"].lower()
        is_end = bool(match[f"end{kind}"]) or kind == "5" or bool(END.search(name))
        tags.append(_Tag(match.start(), match.end(), END.sub("", BEGIN.sub("", name)), is_end))
    return tags if len(tags) <= MOST_TAGS else []


def _take_pairs(content: str, thoughts: list[str]) -> str:
    """What is left of a text when its paired tags are resolved."""
    tags, outside, position, number = _find_tags(content), "", 0, 0
    answers: list[tuple[str, str]] = []
    while number < len(tags):
        tag = tags[number]
        last = next((later for later in range(number + 1, len(tags)) if _closes(tags[later], tag)), None)
        if tag.is_end or (last is None and not tag.is_known):
            number += 1
            continue
        outside += content[position : tag.start]
        stop, position = (len(content),) * 2 if last is None else (tags[last].start, tags[last].stop)
        inside = content[tag.stop : stop]
        if tag.holds_answer:
            answers.append((tag.name, inside))
        elif tag.is_known or (not _strip_marks(outside) and _strip_marks(content[position:])):
            thoughts.append(inside)
        else:
            outside += inside
        number = len(tags) if last is None else last + 1
    outside += content[position:]
    if not answers:
        return outside
    thoughts += [outside, *(inside for name, inside in answers if name != answers[-1][0])]
    return "\n".join(inside for name, inside in answers if name == answers[-1][0])


def _closes(later: _Tag, tag: _Tag) -> bool:
    return later.is_end and later.name == tag.name


def _take_late_end(content: str, thoughts: list[str]) -> str:
    """The template has opened the thinking, so only its end is in the answer."""
    ends = [tag for tag in _find_tags(content) if tag.is_end and tag.is_known]
    if not ends:
        return content
    if ends[-1].holds_answer:
        return content[: ends[-1].start] + content[ends[-1].stop :]
    thoughts.insert(0, content[: ends[-1].start])
    return content[ends[-1].stop :]


def _strip_marks(text: str) -> str:
    """The text without special tokens, the turns that follow it, and the name of its speaker."""
    text = ROLE_LINE.sub("", text)
    while (end := TURN_END.search(text)) is not None:
        before = text[: end.start()]
        text = before if SPECIAL.sub("", before).strip() else text[end.end() :]
    return ROLE.sub("", SPECIAL.sub("", text)).strip()
