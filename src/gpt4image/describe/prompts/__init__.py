"""What is asked: presets, the user's own prompts, and the places in them."""
