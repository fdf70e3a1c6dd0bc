"""Image models: created, pre-trained, frozen, and what they say about images."""
