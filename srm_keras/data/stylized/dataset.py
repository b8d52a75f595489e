"""``stylize_dataset``: a stylized copy of a data set, by one worker or by many."""

import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from srm_keras.data import checks
from srm_keras.data.examples import Examples
from srm_keras.data.sources.prepared import Records
from srm_keras.data.stylized.ledger import (
    Ledger,
    check_parameters,
    class_folders,
    image_names,
    output_stems,
    shard_lock,
)
from srm_keras.data.stylized.painting import (
    Painter,
    Paintings,
    ReadImage,
    read_images,
    weights_digest,
)
from srm_keras.support.files import replace, temporary_sibling
from srm_keras.support.timing import with_progress
from srm_keras.support.validation import as_int, fraction, one_of, positive_int

FORMATS = {"jpg": ("JPEG", {"quality": 95, "subsampling": 0}), "png": ("PNG", {})}
"""Suffixes of the files, and how Pillow writes them."""

BATCH_PIXELS = 2**21
"""Pixels that are painted at once, unless one image has more: half a GB for 64 channels."""


@dataclass
class StylizedReport:
    """What a worker did.

    Attributes:
        stylized: Images that were made.
        found: Images that were there already.
        skipped: Images that could not be read, as "split/name", and why.
        skipped_paintings: Paintings that could not be read, and why.
    """

    stylized: int = 0
    found: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    skipped_paintings: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything could be read."""
        return not (self.skipped or self.skipped_paintings)


def stylize_dataset(
    stylizer: keras.Model,
    splits: Mapping[str, Examples | Records],
    paintings: str | os.PathLike,
    out: str | os.PathLike,
    *,
    alpha: float = 1.0,
    seed: int = 0,
    painting_size: int = 256,
    shard: int = 0,
    shards: int = 1,
    batch_size: int = 32,
    image_format: str = "jpg",
) -> StylizedReport:
    """Makes a stylized copy of a data set: each image in the style of a random painting.

    Writes ``out/<split>/<class>/<name>.<image_format>``, which the sources ``stylized_imagenet``
    (with splits ``train`` and ``val``) and ``image_folder`` read, ``out/manifest.csv`` with the
    columns split, image, style and output, ``out/skipped.csv`` with what could not be read, and
    ``out/stylized.json`` with the parameters. Images keep their size.

    The painting of an image is a hash of (seed, split, the image's name), and batches are the same
    whatever the number of workers and however often they were stopped. So the files are the same,
    byte by byte, on one kind of machine. A call after a kill goes on where it was.

    Args:
        stylizer: An ``AdaINStylizer``, trained.
        splits: For the name of each split of the copy, the split that it is made of, from
            ``load_examples``.
        paintings: A folder of image files.
        out: The folder of the copy: new, or one that was begun with the same arguments.
        alpha: Strength of the style, from 0 (none) to 1.
        seed: Integer in [0, 2**63).
        painting_size: The shorter side of paintings in pixels; brush strokes grow with it.
        shard: Number of this worker, from 0...
        shards: ...among so many that write to the same folder, side by side or one by one.
        batch_size: Images that are read at a time; those of one size are painted together.
        image_format: ``"jpg"`` (quality 95, colours at full resolution) or ``"png"``.

    Returns:
        What this worker did. An image that cannot be read is left out, such a painting replaced by
        another.

    Raises:
        ValueError: If an argument is wrong, no painting can be read, or ``out`` has other arguments
            or another call that is this worker.

    Reference:
        Geirhos et al., *ImageNet-trained CNNs are biased towards texture*, ICLR 2019.
    """
    _check(splits, alpha)
    batch_size = positive_int("batch_size", batch_size)
    shard, shards = _part(shard, shards)
    one_of("image_format", image_format, FORMATS)
    styles = Paintings(paintings, painting_size, seed)
    painter = Painter(stylizer, styles, alpha)
    plans = [SplitPlan(split, examples, image_format) for split, examples in splits.items()]
    parameters = {
        **styles.parameters(),
        "alpha": float(alpha),
        "stylizer": weights_digest(stylizer),
        "batch_size": batch_size,
        "image_format": image_format,
    }
    root = _folder(out)
    with shard_lock(root, shard, shards):
        check_parameters(root, parameters, {plan.split: plan.source() for plan in plans})
        return _stylized(plans, batch_size, painter, Ledger(root, shard, shards), (shard, shards))


def _stylized(
    plans: Sequence["SplitPlan"],
    batch_size: int,
    painter: Painter,
    ledger: Ledger,
    part: tuple[int, int],
) -> StylizedReport:
    """Makes the copies that are not there, and tells how far it has come."""
    report = StylizedReport()
    blocks = [(plan, block) for plan in plans for block in plan.blocks(batch_size, *part)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        worker = _Worker(ledger.out, painter, ledger, report, pool)
        done = (1 for plan, block in blocks for _ in worker.stylize(plan, block))
        total = sum(len(block) for _, block in blocks)
        for _ in with_progress(done, total, "stylize_dataset: done", "images"):
            pass
    report.skipped_paintings = dict(painter.paintings.unreadable)
    ledger.finish(_skipped_rows(report))
    return report


class SplitPlan:
    """The images of a split, what they and their copies are called, and who makes which.

    Args:
        split: The split's name in the copy.
        examples: The images.
        suffix: Of the copies' names.
    """

    def __init__(self, split: str, examples: Examples | Records, suffix: str) -> None:
        self.split = split
        self.examples = examples
        self.names = image_names(examples)
        self._suffix = suffix
        self._stems = output_stems(examples, self.names)
        self._folders = class_folders(examples.info.class_names)

    def blocks(self, size: int, shard: int, shards: int) -> list[range]:
        """The positions of this worker's images, in blocks of ``size``."""
        starts = range(0, len(self.names), size)
        return [range(s, min(s + size, len(self.names))) for s in starts[shard::shards]]

    def output(self, position: int, label: int) -> str:
        """The path of an image's copy, below the folder of the whole copy."""
        return f"{self.split}/{self._folders[label]}/{self._stems[position]}.{self._suffix}"

    def source(self) -> dict[str, str | int]:
        """What the split is made of, in a few words."""
        text = repr((self.names, self._folders)).encode(errors="surrogateescape")
        info = self.examples.info
        digest = hashlib.sha256(text).hexdigest()
        return {"name": info.name, "split": info.split, "count": len(self.names), "sha256": digest}


@dataclass(frozen=True)
class _Worker:
    """Stylizes blocks of images."""

    out: Path
    painter: Painter
    ledger: Ledger
    report: StylizedReport
    pool: ThreadPoolExecutor

    def stylize(self, plan: SplitPlan, block: range) -> Iterator[int]:
        """Makes the copies of a block that are not there; yields positions that are dealt with.

        All images of the block are read, and batches that lack an image painted whole, so that the
        last one is the same as if nothing had come between.
        """
        missing = {k for k in block if not self.ledger.is_done(plan.split, plan.names[k])}
        self.report.found += len(block) - len(missing)
        yield from (position for position in block if position not in missing)
        if not missing:
            return
        images = dict(zip(block, read_images(plan.examples, block, self.pool), strict=True))
        for position in sorted(missing):
            if images[position].pixels is None:
                name = f"{plan.split}/{plan.names[position]}"
                self.report.skipped[name] = images[position].error
                yield position
        for batch in _batches(images):
            if missing.intersection(batch):
                self._paint(plan, batch, images, missing)
                yield from missing.intersection(batch)

    def _paint(
        self, plan: SplitPlan, batch: list[int], images: dict[int, ReadImage], missing: set[int]
    ) -> None:
        styles = [self.painter.painting_for(f"{plan.split}/{plan.names[k]}") for k in batch]
        pixels = [image.pixels for k in batch if (image := images[k]).pixels is not None]
        painted = self.painter.paint(np.stack(pixels), styles)
        rows, writes = [], []
        for position, style, image in zip(batch, styles, painted, strict=True):
            if position in missing:
                output = plan.output(position, images[position].label)
                writes.append((self.out / output, image))
                names = {"split": plan.split, "image": plan.names[position]}
                rows.append({**names, "style": style, "output": output})
        list(self.pool.map(self._write, *zip(*writes, strict=True)))
        self.ledger.record(rows)
        self.report.stylized += len(rows)

    def _write(self, path: Path, image: np.ndarray) -> None:
        """Writes a file that appears whole; what a kill leaves is out of readers' sight."""
        form, options = FORMATS[path.suffix[1:]]
        content = io.BytesIO()
        Image.fromarray(image).save(content, form, **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        unique = hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()
        with temporary_sibling(self.ledger.folder / f"{self.ledger.worker}_{unique}") as temporary:
            temporary.write_bytes(content.getvalue())
            replace(temporary, path)


def _batches(images: Mapping[int, ReadImage]) -> list[list[int]]:
    """The positions of readable images, those of one size together as far as memory allows."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for position, image in images.items():
        if image.pixels is not None:
            by_shape.setdefault(image.pixels.shape, []).append(position)
    batches = []
    for (height, width, _), positions in by_shape.items():
        size = max(BATCH_PIXELS // (height * width), 1)
        batches += [positions[k : k + size] for k in range(0, len(positions), size)]
    return batches


def _skipped_rows(report: StylizedReport) -> list[dict[str, str]]:
    kinds = (("image", report.skipped), ("painting", report.skipped_paintings))
    return [
        {"kind": kind, "name": name, "reason": reason}
        for kind, reasons in kinds
        for name, reason in reasons.items()
    ]


def _part(shard: int, shards: int) -> tuple[int, int]:
    """The number of a worker and how many there are."""
    number, count = as_int(shard), positive_int("shards", shards)
    if number is None or not 0 <= number < count:
        raise ValueError(f"`shard` must be an integer in [0, {count}). Received: shard={shard!r}")
    return number, count


def _check(splits: Mapping[str, Examples | Records], alpha: float) -> None:
    fraction("alpha", alpha)
    for split, examples in splits.items():
        if not split or not split.isprintable() or "/" in split or split.startswith("."):
            raise ValueError(f"`splits` must have names of folders. Received: {split!r}")
        if not isinstance(examples, Examples | Records):
            raise ValueError(
                "`splits` must hold what `load_examples` returns. "
                f"Received: {type(examples).__name__} for {split!r}"
            )
    if not splits:
        raise ValueError("`splits` must have at least one split. Received: none")


def _folder(out: str | os.PathLike) -> Path:
    root = checks.path("out", out)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"`out` must be a folder that exists or can be made ({error.strerror}). "
            f"Received: out={str(root)!r}"
        ) from None
    if not os.access(root, os.W_OK):
        raise ValueError(f"`out` must be a folder that can be written. Received: {str(root)!r}")
    return root
