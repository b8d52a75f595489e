"""``srm-keras stylize`` in a clone: ``python -m tools.stylize``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("stylize")
