"""What each image most probably is, by its given label and by what its texts say."""
