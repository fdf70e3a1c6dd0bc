"""The words of the descriptions as targets: no text encoder, no negatives, no large batch.

SuperClass (arXiv 2411.03313): the image classifies into the words of its caption; y [V] is 1 for each word that
occurs, weighted by its inverse document frequency ln(N / (1 + df)), then divided by its sum; the loss is the
cross-entropy of softmax logits with y. Deviation: whole words, where SuperClass has the sub-words of CLIP's tokenizer.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from gpt4image.errors import DescriptionError

MAX_WORDS = 8192
MIN_COUNT = 2
"""A word that only one description has says nothing about other images."""
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


class TokenTargets:
    """Word probabilities of each image's descriptions.

    Args:
        texts: the descriptions of each image, N lists; an empty one if it has none.

    Raises:
        DescriptionError: the descriptions share no words.
    """

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        words = [sorted(set(_split(" ".join(own)))) for own in texts]
        frequency = Counter(word for own in words for word in own)
        chosen = [word for word, count in frequency.most_common(MAX_WORDS) if count >= MIN_COUNT]
        if not chosen:
            raise DescriptionError("the descriptions share no words; --objective tokens needs descriptions in words")
        self.words = sorted(chosen)
        num_documents = sum(map(bool, texts))
        self._idf = np.array([np.log(num_documents / (1 + frequency[word])) for word in self.words]).clip(0)
        number = {word: place for place, word in enumerate(self.words)}
        numbers = [np.array([number[word] for word in own if word in number], dtype=np.int32) for own in words]
        self._numbers = [own[self._idf[own] > 0] for own in numbers]

    @property
    def dimension(self) -> int:
        """Number of words V."""
        return len(self.words)

    def has_text(self) -> np.ndarray:
        """bool [N], whether each image has a description with at least one of the words."""
        return np.array([len(own) > 0 for own in self._numbers])

    def gather(self, images: Int[np.ndarray, "B"]) -> Float[np.ndarray, "B V"]:
        """Word probabilities of some images; zero for those without."""
        result = np.zeros((len(images), self.dimension), dtype=np.float32)
        for row, image in enumerate(images):
            own = self._numbers[image]
            result[row, own] = self._idf[own] / self._idf[own].sum()
        return result


def _split(text: str) -> list[str]:
    return _WORD.findall(text.lower())
