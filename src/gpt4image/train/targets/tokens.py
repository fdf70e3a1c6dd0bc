"""The words of the descriptions as targets: no text encoder, no negatives, no large batch.

SuperClass (arXiv 2411.03313): the image classifies into the words of its caption; y [V] is 1 for each word that
occurs, weighted by its inverse document frequency ln(N / (1 + df)), then divided by its sum; the loss is the
cross-entropy of softmax logits with y. Deviation: whole words, where SuperClass has the sub-words of CLIP's tokenizer.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from gpt4image.errors import DescriptionError

MAX_WORDS = 8192
MIN_COUNT = 2
"""A word that only one description has says nothing about other images."""
WORD = r"[^\W_]+(?:['’-][^\W_]+)*"


class TokenTargets:
    """Word probabilities of each image's descriptions.

    Args:
        texts: the descriptions of each image, N lists; an empty one if it has none.

    Raises:
        DescriptionError: the descriptions share no words.
    """

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.preprocessing import normalize

        words = CountVectorizer(binary=True, token_pattern=WORD, min_df=MIN_COUNT, max_features=MAX_WORDS)
        try:
            occurs = words.fit_transform(map(" ".join, texts))
        except ValueError as error:
            raise DescriptionError(
                "the descriptions share no words; --objective tokens needs descriptions in words"
            ) from error
        self.words = words.get_feature_names_out().tolist()
        idf = np.log(sum(map(bool, texts)) / (1 + occurs.sum(0))).clip(0)
        self._probabilities = normalize(occurs.multiply(idf).tocsr(), norm="l1")

    @property
    def dimension(self) -> int:
        """Number of words V."""
        return len(self.words)

    def has_text(self) -> np.ndarray:
        """bool [N], whether each image has a description with at least one of the words."""
        return np.asarray(self._probabilities.sum(1) > 0).ravel()

    def gather(self, images: Int[np.ndarray, "B"]) -> Float[np.ndarray, "B V"]:
        """Word probabilities of some images; zero for those without."""
        return self._probabilities[images].toarray().astype(np.float32)
