"""OpenAI-compatible endpoints: one request and many, at the pace and price each of them bears."""
