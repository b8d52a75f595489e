"""``srm-keras demo`` in a clone: ``python -m tools.demo``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("demo")
