"""Lists of images, and the labels that stand in a column."""
