"""The documentation's code blocks: commands are real, and every block runs as it is printed."""

import ast
import contextlib
import importlib.util
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import time
import traceback
import urllib.request
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.support.command_lines import command
from tests.support.documentation import LANGUAGES, ROOT, all_blocks, blocks, command_of, pages

NOT_RUN = {
    "README.md": 1,
    "CONTRIBUTING.md": 1,
    "docs/backbones.md": 1,
    "docs/complexity.md": 1,
    "docs/data.md": 4,
    "docs/distribution.md": 2,
    "docs/export.md": 3,
    "docs/insertion.md": 1,
    "docs/paper.md": 1,
    "docs/serving.md": 4,
    "docs/style_transfer.md": 1,
    "docs/stylized_data.md": 1,
    "docs/training.md": 1,
    "docs/weights.md": 7,
    "docs/web_demo/README.md": 1,
}
"""Blocks that are marked "not run": one more is to be a decision."""

MADE = {"docs/web_demo/model", "docs/web_demo/stylizer", "docs/results"}
"""Folders that commands write."""

SMALL = {
    "texture_shapes": (
        "--config.data.options.train_examples=64 --config.data.options.test_examples=32 "
        "--config.batch_size=16 --steps=2"
    ),
    "textures": "--config.batch_size=4 --steps=2 --config.model.options.depth=8",
    "ablations": "--config.batch_size=8 --steps=2 --config.data.options.train_examples=40",
    "style_transfer": (
        "--config.features.weights=vgg16.weights.h5 "
        "--config.network.filters=4 --config.network.blocks=1 "
        "--config.content.image_size=32 --config.content.resize=36 --config.style.image_size=32 "
        "--config.content.name=image_files --config.content.eval_split=test "
        "--config.batch_size=2 --steps=2"
    ),
    "adain": (
        "--config.features.weights=vgg19.weights.h5 --config.features.content_layer=block1_conv2 "
        "--config.content.image_size=32 --config.content.resize=36 --config.style.image_size=32 "
        "--config.batch_size=2 --steps=2"
    ),
    "cross_validate": "--folds=2 --seeds=0 --recalibrations=none,srm",
    "compare_stylizers": "--variants=bn,bn+srm --seeds=0",
    "export": "--samples=8 --representative=8 --min_snr_db=1",
    "gates": "--samples=16",
    "prune": "--samples=16",
    "top_activations": "--samples=16",
    "tools.benchmark": "--quick",
}
"""Flags that make a recipe or a command small, behind those that are printed."""

SMALLER = {
    'weights="imagenet"': "weights=None",
    "// 128,\n    epochs=10": "// 128 // 1000 + 1,\n    epochs=1",
    "train(recipe,": "recipe.update(steps=2, eval_every=2, batch_size=16); train(recipe,",
    "images[:1000]": "images[:200]",
    "labels[:1000]": "labels[:200]",
}
"""What stands for texts that would take long."""

SHELL = [
    (block, line)
    for block in all_blocks(True)
    if block.language == "bash"
    for line in block.commands
]
COMMANDS = [
    (block, line, *found)
    for block, line in SHELL
    if (found := command_of(line)) and found[0] != "help"
]


def test_blocks_say_their_language_and_why_they_are_not_run():
    found = [block for block in all_blocks(True) if block.language not in LANGUAGES]
    assert not found, list(map(str, found))
    marked = [block for page in pages() for block in blocks(page) if block.mark]
    for block in marked:
        assert re.match("not run: .+|needs: [a-z_]+$|in the background$", block.mark), str(block)
    not_run = Counter(block.page for block in marked if block.mark.startswith("not run"))
    assert dict(not_run) == NOT_RUN


@pytest.mark.parametrize("module", sorted({module for _, _, module, _ in COMMANDS}))
def test_commands_have_the_flags_that_are_printed(module, monkeypatch):
    """They are parsed, recipes with them, and not run."""
    path = module if module.startswith("tools.") else f"srm_keras.cli.{module}"
    monkeypatch.setattr(importlib.import_module(path), "main", lambda flags, arguments: None)
    for block, line, named, arguments in COMMANDS:
        if named == module and "$" not in line:
            done = command(module, *arguments)
            assert (done.returncode, done.stderr) == (0, ""), f"{block}: {line}"


def test_python_blocks_import_what_there_is():
    """Names that the package does not have are found without running anything."""
    for block in all_blocks():
        if block.language != "python":
            continue
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("srm_keras"):
                module = importlib.import_module(node.module)
                for name in node.names:
                    with contextlib.suppress(ModuleNotFoundError):
                        importlib.import_module(f"{node.module}.{name.name}")
                    assert hasattr(module, name.name), f"{block}: {name.name}"


@pytest.mark.parametrize("page", [*pages(True), "CHANGELOG.md"])
def test_paths_names_and_links_lead_somewhere(page):
    """Files of the repository, names of the package, other pages and their sections."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert lost(text) == []
    links = set(re.findall(r"\]\((?!https?:)([^)=\s#]*)(?:#([^)\s]*))?\)", text))
    for path, section in links:
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {path}"
        assert not section or section in sections(target), f"{page}: {path}#{section}"


def test_docstrings_name_what_there_is():
    for folder in ("srm_keras", "train", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            assert lost(path.read_text(encoding="utf-8")) == [], path


def lost(text):
    """The files of the repository and the names of the package in a text that there are not."""
    paths = set(re.findall(r"(?<![\w/.=])((?:srm_keras|tools|tests|docs)/[\w./-]*\w)", text))
    paths |= set(re.findall(r"(?<![\w/.])train/[\w/]+\.py", text))
    names = set(re.findall(r"(?<![\w/.])srm_keras(?:\.[a-zA-Z]\w*)+(?!/)", text))
    missing = [path for path in paths - MADE if not (ROOT / path).exists()]
    return sorted([*missing, *(name for name in names if not leads_somewhere(name))])


def leads_somewhere(name):
    """Whether the dotted name is of a module, or of something in one."""
    path = ROOT / name.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").exists():
        return True
    try:
        return pkgutil.resolve_name(name) is not None
    except AttributeError:
        return False


def sections(page):
    """The names by which links find the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in words}


def test_runs_that_are_used_are_made_by_a_block():
    made, used = set(), {}
    for block in [block for page in pages() for block in blocks(page)]:
        text = "\n".join(block.commands) if block.language == "bash" else block.text
        made |= set(re.findall(r"--workdir=(runs/\w+)|train\(recipe, \"(runs/\w+)\"\)", text))
        found = re.findall(
            r"(?:--(?:runs?|stylizer|model|config\.init)=|load_\w+\(\")(runs/[\w,/]+)", text
        )
        for names in found:
            for name in names.split(","):
                used.setdefault("/".join(name.split("/")[:2]), str(block))
    made = {one or other for one, other in made}
    assert {name: block for name, block in used.items() if name not in made} == {}


def test_git_passes_over_what_the_commands_write():
    """Run from the root, as printed, they leave nothing that a commit would take."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    written = set()
    for block in all_blocks():
        if block.language in ("bash", "python"):
            written |= set(re.findall(r"--(?:out|workdir|csv|json)=([\w./]+)", block.text))
            written |= set(
                re.findall(
                    r"(?:to_\w+|save|export|stylize_dataset|convert)\([^)]*\"([\w./]+)\"",
                    block.text,
                )
            )
            written |= set(re.findall(r"data_dir=\"(\w+)\"", block.text))
    written -= {name for name in written if name.startswith("docs/results")}
    written -= {"authors", "float16", "int8", "mit", "train"}  # other arguments
    assert {"out/saved_model", "painted", "stylized"} <= {name.rstrip("/") for name in written}
    paths = [name if "." in Path(name).name else f"{name.rstrip('/')}/file" for name in written]
    done = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True)
    assert sorted(set(paths) - set(done.stdout.split())) == []


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder with what a reader has: pictures in class folders, a painting, the code."""
    rng = np.random.default_rng(0)

    def picture(path, side=64):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (8, 8, 3), "uint8")
        Image.fromarray(pixels).resize((side, side + 8)).save(path)

    for split in ("train", "test"):
        for kind in ("brick", "wood"):
            for number in range(20):
                picture(tmp_path / "photos" / split / kind / f"{number}.jpg")
    for name in ("FOLDER", "PHOTOS", "textures", "COCO"):
        shutil.copytree(tmp_path / "photos", tmp_path / name)
    for number in range(40):
        for name in ("holiday", "paintings", "PAINTINGS"):
            picture(tmp_path / name / f"{number}.jpg")
    for name in ("painting.jpg", "photo.jpg", "cat.jpg", "dog.png", "brick.jpg"):
        picture(tmp_path / name, 96)
    for name in ("VGG16", "VGG19"):  # random ones stand for those to download
        network = getattr(keras.applications, name)(weights=None, include_top=False)
        network.save_weights(tmp_path / f"{name.lower()}.weights.h5")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_every_block_runs_as_printed(reader):
    """Page after page in one folder, since later ones use the runs of earlier ones."""
    failures, skipped = [], []
    for page in pages():
        keras.backend.clear_session()
        with contextlib.ExitStack() as background:
            names = {"__name__": "documentation"}
            for block in blocks(page):
                if block.language not in ("python", "bash"):
                    continue
                if not runnable(block):
                    skipped.append(f"{block} ({block.mark})")
                    continue
                began = time.monotonic()
                try:
                    run(block, names, background)
                except Exception:
                    failures.append(f"{block}\n{traceback.format_exc(limit=-3)}")
                    print(failures[-1], file=sys.__stderr__, flush=True)
                print(f"{block}: {time.monotonic() - began:.0f} s", file=sys.__stderr__, flush=True)
    print("\n".join(["not run:", *skipped]), file=sys.__stderr__)
    assert not failures, "\n".join(failures)


def runnable(block):
    name = block.mark.removeprefix("needs: ")
    if name == block.mark:
        return not block.mark.startswith("not run")
    return shutil.which(name) is not None or importlib.util.find_spec(name) is not None


def run(block, names, background):
    if block.language == "python":
        text = block.text
        for long, short in SMALLER.items():
            text = text.replace(long, short)
        exec(compile(text, str(block), "exec"), names)
        return
    for line in block.commands:
        if block.mark == "in the background":
            background.enter_context(server(line))
        elif found := command_of(line):
            module, arguments = found
            done = command(module, *arguments, *small(module, arguments))
            assert done.returncode == 0, f"{line}\n{done.stderr[-1500:]}"
        else:
            subprocess.run(["bash", "-c", line], check=True, capture_output=True)


def small(module, arguments):
    recipe = next((a.partition("=")[2] for a in arguments if a.startswith("--config=")), "")
    given = {
        argument.partition("=")[0] for argument in arguments if argument.startswith("--config")
    }
    added = SMALL.get(recipe.partition(":")[0], "") if not recipe.endswith(":smoke") else ""
    flags = [*added.split(), *SMALL.get(module, "").split()]
    return [flag for flag in flags if flag.partition("=")[0] not in given]


@contextlib.contextmanager
def server(line):
    """A server that answers, until the page ends."""
    words = [sys.executable, "-m", *line.replace("srm-keras", "srm_keras", 1).split()]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, env={**os.environ})
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen("http://127.0.0.1:8501/v1/models/model").close()
                break
            assert process.poll() is None
            time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)
