"""``srm-keras serve`` in a clone: ``python -m tools.serve``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("serve")
