"""One file a data set or folder layout."""
