"""Text encoders at lower precision: used only after a sample has shown that the vectors stay what they were."""

from collections.abc import Sequence

import numpy as np

from gpt4image.embed.encoders.encoder import Precision, TextEncoder
from gpt4image.errors import EncoderError

LEAST_COSINE = 0.999
SAMPLE_SIZE = 128


def lower_precision(encoder: TextEncoder, precision: Precision, texts: Sequence[str]) -> float:
    """Lets the encoder compute with `precision` from now on.

    Args:
        encoder: as loaded, in float32.
        precision: what to compute with.
        texts: those to be embedded; some of them are the sample.

    Returns:
        The smallest cosine between a sample text's vectors at both precisions, above 0.999.

    Raises:
        EncoderError: the encoder cannot be computed so, or a vector moved too far.
    """
    sample = [texts[place] for place in np.random.default_rng(0).permutation(len(texts))[:SAMPLE_SIZE]]
    before = encoder.encode(sample)
    encoder.lower_precision(precision)
    cosine = float((before * encoder.encode(sample)).sum(axis=1).min())
    if not cosine > LEAST_COSINE:
        raise EncoderError(
            f"--precision {precision} moves vectors of {encoder.name} to a cosine of {cosine:.6f} with those of fp32, "
            f"more than {LEAST_COSINE} allows; leave it at fp32, or try another"
        )
    return cosine
