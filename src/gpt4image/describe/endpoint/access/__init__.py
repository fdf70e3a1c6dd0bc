"""How endpoints are reached, for descriptions and embeddings: may they be, by which key, within which bounds."""
