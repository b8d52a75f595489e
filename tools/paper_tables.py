"""``srm-keras paper_tables`` in a clone: ``python -m tools.paper_tables``."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("paper_tables")
