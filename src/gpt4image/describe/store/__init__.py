"""What is kept: descriptions, their states, edits that can be undone, and where all of it comes from."""
