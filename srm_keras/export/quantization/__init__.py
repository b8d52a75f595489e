"""What quantization costs trained networks, and where it is lost."""
