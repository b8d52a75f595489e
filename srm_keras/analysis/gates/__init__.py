"""The gates of a trained network: reading, statistics, histograms, correlation."""
