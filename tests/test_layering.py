"""The house rules that a test can keep: imports run one way, and no private API."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

from tools.studies import house

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "srm_keras"
ORDER = (
    "layers",
    "models",
    "data",
    "interop",
    ("analysis", "export"),
    "training",
    "recipes",
    "cli",
)
"""Each package may import those before it; of two in one place neither imports the other."""
SHARED = {"support", "version"}


def allowed(package: str) -> set[str]:
    """The packages that ``package`` may import beside itself."""
    before: set[str] = set()
    for step in ORDER:
        names = step if isinstance(step, tuple) else (step,)
        if package in names:
            return before
        before.update(names)
    assert package in SHARED, f"{package} is nowhere in ORDER"
    return set()


def imported_modules(path: pathlib.Path, anywhere: bool = True) -> set[str]:
    """What a file imports, or what it imports when it is imported, outside of all functions."""
    modules = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if anywhere else tree.body:
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules.add(node.module or "")
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


@pytest.mark.parametrize("package", sorted(p.name for p in PACKAGE.iterdir() if p.is_dir()))
def test_imports_run_one_way(package):
    if package == "__pycache__":
        return
    for path in (PACKAGE / package).rglob("*.py"):
        for module in imported_modules(path):
            parts = module.split(".")
            if parts[0] in ("train", "tools", "tests"):
                pytest.fail(f"{path} imports {module}, which is above it")
            if parts[0] == "srm_keras" and len(parts) > 1 and parts[1] not in SHARED:
                assert parts[1] in {package, *allowed(package)}, f"{path} imports {module}"


def test_the_picture_of_the_packages_shows_their_imports():
    """Where it does not, `python -m tools.studies.house --out=docs` draws it anew."""
    drawn = re.findall(r'id="(\w+--\w+)"', (ROOT / "docs/house.svg").read_text(encoding="utf-8"))
    assert set(drawn) == house.arrows(house.packages())


def test_the_files_that_a_command_goes_through_are_those_whose_functions_it_enters(capsys):
    files = house.entered("srm_keras", ["models", "srm_*"])
    assert "srm_resnet50" in capsys.readouterr().out
    assert {"srm_keras/cli/main.py", "srm_keras/cli/models.py"} <= set(files)
    assert "srm_keras/layers/srm.py" not in files  # imported, and not entered


def test_no_private_keras_or_tensorflow():
    for folder in ("srm_keras", "train", "tools", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            for module in imported_modules(path):
                assert not module.startswith(("keras.src", "tensorflow.python")), path


def registered_classes(path: pathlib.Path) -> list[str]:
    """The classes of a file that Keras finds by name in saved files."""
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any("register_keras_serializable" in ast.unparse(d) for d in node.decorator_list)
    ]


def public_names(package: pathlib.Path) -> set[str]:
    """What ``__all__`` of a package lists."""
    for node in ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def test_every_registered_class_is_public_in_a_package_above_it():
    """What a saved file may name can be imported from where users look."""
    hidden, found = [], set()
    for path in PACKAGE.rglob("*.py"):
        packages = [parent for parent in path.parents if parent.is_relative_to(PACKAGE)]
        public = set().union(*map(public_names, packages))
        names = registered_classes(path)
        hidden += [f"{name} of {path}" for name in names if name not in public]
        found.update(names)
    assert not hidden
    assert {"SRM", "ReflectionConv2D", "IdentityShortcut", "GateReader", "SGDWithL2"} <= found


def docstrings(path: pathlib.Path) -> list[str]:
    """Every text that stands alone as a statement, what describes a constant included."""
    return [
        node.value.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def test_docstrings_speak_one_dialect():
    single = re.compile(r"(?<!`)`(?!`)[^`]+`(?!`)")
    small = re.compile(r"^ +(?:Args|Attributes|Raises):\n +\w+: [a-z]{2,} ", re.MULTILINE)
    for folder in ("srm_keras", "train", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            for text in docstrings(path):
                assert not single.search(text), f"{path}: one backtick in {text!r}"
                assert not small.search(text), f"{path}: a section begins small in {text!r}"


ASKS_TENSORFLOW = ("dropping.py",)
"""In a function, where it is the backend: Keras has no name for the replica that runs."""


def test_layers_and_models_use_keras_alone():
    for package in ("layers", "models"):
        for path in (PACKAGE / package).rglob("*.py"):
            heavy = {"tensorflow", "jax", "torch"}
            found = imported_modules(path, anywhere=path.name not in ASKS_TENSORFLOW)
            assert not heavy & {module.split(".")[0] for module in found}, path


@pytest.mark.parametrize("module", ["tensorflow", "matplotlib", "tensorflow_datasets"])
def test_the_package_imports_nothing_heavy_by_itself(module):
    """Checked in the source of what ``import srm_keras`` runs; Keras' own imports are its own."""
    eager = [PACKAGE / "__init__.py", PACKAGE / "support" / "validation.py"]
    for package in ("layers", "models"):
        eager += (PACKAGE / package).rglob("*.py")
    for path in eager:
        found = imported_modules(path, anywhere=path.name not in ASKS_TENSORFLOW)
        assert module not in {name.split(".")[0] for name in found}, path


def test_no_figure_is_drawn_by_pyplot():
    """Its backend, which MPLBACKEND or a notebook chooses, never comes between figure and file."""
    for folder in ("srm_keras", "train", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "matplotlib.pyplot" not in imported_modules(path), path


@pytest.mark.parametrize(
    ("inherited", "used"),
    [
        ("module://matplotlib_inline.backend_inline", "agg"),
        ("inline", "agg"),
        ("nonsense", "agg"),
        ("svg", "svg"),
        ("", "agg"),
    ],
)
def test_matplotlib_can_be_imported_whatever_mplbackend_says(inherited, used):
    """A notebook's backend is handed down to commands, where Matplotlib may not know it."""
    code = (
        f"import runpy; foreign = runpy.run_path({str(PACKAGE / 'support/foreign.py')!r}); "
        "foreign['keep_matplotlib_importable'](); "
        "import matplotlib.pyplot as plt; print(plt.get_backend())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"MPLBACKEND": inherited, "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == used


@pytest.mark.parametrize("backend", ["numpy", pytest.param("jax", marks=pytest.mark.slow)])
def test_import_on_another_backend_does_not_import_tensorflow(backend):
    pytest.importorskip(backend)
    code = (
        "import sys, srm_keras; srm_keras.models.CifarResNet(8); print('tensorflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"KERAS_BACKEND": backend, "PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "False"
