"""Stage 1: a multimodal LLM writes a description of every image."""
