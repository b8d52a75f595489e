"""TFLite, the format of LiteRT."""
