"""Files that nobody vouches for, read without harm."""
