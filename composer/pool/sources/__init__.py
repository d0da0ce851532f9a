"""Sources: files of any common format, read in batches as columns of text."""
