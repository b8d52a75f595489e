"""The domain and the group of an image, from the name of its file."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def compiled(**patterns: str | None) -> dict[str, re.Pattern[str] | None]:
    """Compiles the patterns that are not None.

    Raises:
        ValueError: If one is no regular expression with exactly one group.
    """
    return {
        name: None if pattern is None else _compiled(name, pattern)
        for name, pattern in patterns.items()
    }


def tags(
    paths: Sequence[Path],
    domain_pattern: re.Pattern[str] | None,
    group_pattern: re.Pattern[str] | None,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What the patterns find in the names of the files.

    Args:
        paths: N files.
        domain_pattern: With one group, which matches the domain; or None.
        group_pattern: With one group, which matches the group; or None.

    Returns:
        Domains and groups, each (N,) strings or None. Where there are both, a group's name begins
        with its domain, so that equal numbers in two domains are two groups.

    Raises:
        ValueError: If a name does not match.
    """
    domains = _found("domain_pattern", domain_pattern, paths)
    groups = _found("group_pattern", group_pattern, paths)
    if domains is not None and groups is not None:
        groups = [f"{domain}/{group}" for domain, group in zip(domains, groups, strict=True)]
    return _array(domains), _array(groups)


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        result = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(
            f"`{name}` must be a regular expression ({error}). Received: {name}={pattern!r}"
        ) from error
    if result.groups != 1:
        raise ValueError(
            f"`{name}` must have exactly one group, as in '^([^_]+)_'. Received: {name}={pattern!r}"
        )
    return result


def _found(name: str, pattern: re.Pattern[str] | None, paths: Sequence[Path]) -> list[str] | None:
    if pattern is None:
        return None
    matches = [pattern.search(path.name) for path in paths]
    unmatched = [path for path, match in zip(paths, matches, strict=True) if not _has(match)]
    if unmatched:
        raise ValueError(
            f"`{name}` must match every file's name. {len(unmatched)} do not match, "
            f"{unmatched[0]} for one. Received: {name}={pattern.pattern!r}"
        )
    return [match.group(1) for match in matches if match]


def _has(match: re.Match[str] | None) -> bool:
    return match is not None and match.group(1) is not None


def _array(values: list[str] | None) -> np.ndarray | None:
    return None if values is None else np.array(values)
