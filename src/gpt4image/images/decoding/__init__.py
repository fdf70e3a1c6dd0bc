"""From the bytes of an image file to the picture a person would see."""
