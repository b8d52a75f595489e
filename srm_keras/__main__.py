"""``python -m srm_keras COMMAND``: the same as ``srm-keras COMMAND``."""

import sys

from srm_keras.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
