"""Run the default suite: all of it on TensorFlow, the rest's share on each other backend.

A process a backend, one after the other. Prints the ten slowest tests of each, and which backends
and optional packages were not tested because they are not installed. Fails if any suite fails.
"""

import importlib.util
import os
import subprocess
import sys

BACKENDS = ("tensorflow", "jax", "torch")
# A file to a worker: what its tests share is made once.
OPTIONS = ("-q", "-n", "2", "--dist=loadfile", "--durations=10")
OPTIONAL = {"onnx": ("tf2onnx", "onnxruntime", "openvino"), "serving": ("starlette", "uvicorn")}


def run(backend: str, arguments: list[str]) -> int:
    """Run pytest under ``backend`` and return its exit code."""
    print(f"\n=== Keras backend: {backend} ===", flush=True)
    command = [sys.executable, "-m", "pytest", *OPTIONS, *arguments]
    return subprocess.run(
        command, env={**os.environ, "KERAS_BACKEND": backend}, check=False
    ).returncode


def main(arguments: list[str]) -> int:
    """Test every installed backend; return 0 if all suites passed."""
    codes = {}
    missing = []
    for backend in BACKENDS:
        if importlib.util.find_spec(backend) is None:
            missing.append(backend)
        else:
            codes[backend] = run(backend, arguments)
    print()
    for backend, code in codes.items():
        print(f"{backend}: {'passed' if code == 0 else f'FAILED (pytest exit code {code})'}")
    for backend in missing:
        print(f"{backend}: NOT TESTED, not installed (pip install '.[{backend}]')")
    for extra, packages in OPTIONAL.items():
        absent = [name for name in packages if importlib.util.find_spec(name) is None]
        if absent:
            print(f"{', '.join(absent)}: NOT TESTED, not installed (pip install '.[{extra}]')")
    return 1 if missing == list(BACKENDS) or any(codes.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
