"""A look inside two models: examples, words of the projector, maps of features, training texts."""
