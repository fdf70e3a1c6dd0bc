"""What is minimised: alignment losses, pairs, the projector, the weight of the text."""
