"""Labels hidden or made wrong on purpose, by the seed alone."""
