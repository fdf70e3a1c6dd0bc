"""Does an endpoint see images at all? Asks about cards whose content is known."""
