"""ONNX, and the runtimes that read it."""
