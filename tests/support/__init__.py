"""What the tests share: NumPy references, gradients on any backend, random weights."""
