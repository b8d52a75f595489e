"""`srm-keras compare` in a clone: `srm-keras compare`."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("compare")
