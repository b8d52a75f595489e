"""`srm-keras preset` in a clone: `srm-keras preset`."""

from srm_keras.cli.main import script

if __name__ == "__main__":
    script("preset")
