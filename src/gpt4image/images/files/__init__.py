"""Images that are files of their own: finding them, naming them, reading them."""
