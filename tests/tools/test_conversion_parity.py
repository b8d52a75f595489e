"""The table of converted networks beside their originals."""

import pytest

from srm_keras.support.files import read_csv, read_json
from tests.support.command_lines import command
from tools.studies import conversion_parity

COMMAND = "tools.studies.conversion_parity"


@pytest.fixture
def measured(monkeypatch):
    """What was measured; the network of keras.applications is off, one of PyTorch breaks."""
    torch_resnet = pytest.importorskip("tests.support.torch_resnet")
    monkeypatch.setattr(torch_resnet, "KINDS", {"torchvision": None, "authors_srm": None})
    made = []

    def measure(flags, depth, kind):
        made.append((depth, kind))
        if made == [(50, "torchvision"), (50, "authors_srm")]:
            raise ValueError("out of luck")
        off = kind == conversion_parity.APPLICATIONS
        return {
            "parameters": 7,
            "largest_logit": "3",
            "difference": "2.0e-04" if off else "1.0e-06",
            "back": "–" if off else "yes",
        }

    monkeypatch.setattr(conversion_parity, "_measured", measure)
    return made


def test_an_interrupted_table_goes_on_and_a_network_out_of_the_bound_fails(measured, tmp_path):
    arguments = [f"--out={tmp_path}", "--depths=50", "--image_size=32"]
    assert "out of luck" in command(COMMAND, *arguments).stderr
    done = command(COMMAND, *arguments)
    assert done.returncode == 1
    assert "error: 1 networks are out of the bound" in done.stderr
    networks = [(50, "torchvision"), (50, "authors_srm")]
    assert measured == [*networks, networks[1], (50, conversion_parity.APPLICATIONS)]
    rows = read_csv(tmp_path / "conversion.csv")
    assert [(row["network"], row["source"], row["module"]) for row in rows] == [
        ("ResNet-50", "torchvision", "none"),
        ("ResNet-50", "authors", "srm"),
        ("ResNet-50", "keras.applications", "none"),
    ]
    assert len(read_json(tmp_path / "conversion.json")["rows"]) == 3
    page = (tmp_path / "conversion.md").read_text()
    assert "4 images of 32×32" in page
    assert "| ResNet-50 | authors | srm | 7 | 3 | 1.0e-06 | yes |" in page


@pytest.mark.slow
def test_networks_of_pytorch_compute_the_same_and_come_back(monkeypatch, tmp_path):
    torch_resnet = pytest.importorskip("tests.support.torch_resnet")
    kinds = {"authors_srm": torch_resnet.KINDS["authors_srm"]}
    monkeypatch.setattr(torch_resnet, "KINDS", kinds)
    # Of 32 pixels the last map is a single one, whose unbiased deviation PyTorch gives as NaN.
    arguments = ["--depths=18", "--image_size=64", "--images=2"]
    done = command(COMMAND, f"--out={tmp_path}", *arguments)
    assert done.returncode == 0, done.stderr
    (row,) = read_csv(tmp_path / "conversion.csv")
    assert (row["source"], row["module"], row["back"]) == ("authors", "srm", "yes")
    assert float(row["difference"]) <= 1e-4
