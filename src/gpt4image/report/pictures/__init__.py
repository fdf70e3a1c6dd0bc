"""Images found again by digest, and made small enough for a page."""
