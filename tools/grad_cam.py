"""``srm-keras grad_cam`` in a clone: ``python -m tools.grad_cam``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("grad_cam")
