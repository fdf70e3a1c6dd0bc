"""Frozen text encoders: sentence-transformers, CLIP towers, endpoints; their precision and batches."""
