"""Presets in repositories of the Hugging Face Hub."""

import re
from collections.abc import Iterable
from pathlib import Path

PREFIX = "hf://"
_REFERENCE = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def download(reference: str, names: Iterable[str]) -> Path:
    """Bring the files of a repository to the local cache.

    Args:
        reference: `hf://USER/REPOSITORY`, or `hf://USER/REPOSITORY@REVISION` with a commit, tag or
            branch. Only a commit is the same for ever.
        names: of the files; no others are read.

    Returns:
        The folder with the files.

    Raises:
        ValueError: `reference` is of another form, or the repository cannot be read.
        ImportError: huggingface_hub is not installed.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ValueError(
            "`source` must have the form hf://USER/REPOSITORY or hf://USER/REPOSITORY@REVISION. "
            f"Received: source={reference!r}"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(
            "hf:// needs the package huggingface_hub. Install it with: pip install huggingface-hub"
        ) from error
    try:
        folder = snapshot_download(
            match["repo"], revision=match["revision"], allow_patterns=[*names]
        )
    except Exception as error:  # Those of the network and the repository share no class.
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(f"{reference} cannot be read ({reason})") from None
    return Path(folder)
