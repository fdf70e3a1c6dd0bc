"""What each image is taught: class probabilities, text embeddings, words."""
