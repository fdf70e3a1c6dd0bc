"""Descriptions in and out of the store, in the forms other programs write and read."""
