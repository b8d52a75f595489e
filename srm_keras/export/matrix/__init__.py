"""The parity matrix: modules × networks × formats × runtimes."""
