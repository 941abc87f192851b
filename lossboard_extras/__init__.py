"""What lossboard.py imports on first use: the parts of the client that are larger than a file to be copied."""
