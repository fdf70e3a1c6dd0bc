"""Stage 2: a frozen text encoder turns descriptions into text embeddings."""

from gpt4image.embed.stage import EmbedResult, EmbedSettings, embed
from gpt4image.embed.table import EmbeddingTable

__all__ = ["EmbedResult", "EmbedSettings", "EmbeddingTable", "embed"]
