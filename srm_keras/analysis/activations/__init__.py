"""The images that lead to the highest weight of each channel."""
