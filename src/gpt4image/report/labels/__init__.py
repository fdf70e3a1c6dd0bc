"""Weighed labels for people to look at and correct."""
