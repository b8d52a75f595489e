"""``srm-keras prune`` in a clone: ``python -m tools.prune``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("prune")
