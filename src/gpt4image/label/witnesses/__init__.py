"""Witnesses: picks, texts, features and class names, read from the work folder."""
