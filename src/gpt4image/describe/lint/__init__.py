"""What is wrong with descriptions: one check a file, one report."""
