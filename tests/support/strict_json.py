"""JSON by the standard: Python's own parser knows NaN and Infinity besides."""

import json


def strictly(text):
    """What JSON holds; fails where that is no JSON."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)
