"""The describe and embed stages on a Ray cluster."""
