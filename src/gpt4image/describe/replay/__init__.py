"""Descriptions that somebody has written before: files, their rows, and whose image a row is about."""
