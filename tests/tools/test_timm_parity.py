"""The table of timm's networks: what is counted, and what fails."""

import pytest

from srm_keras.support.files import read_csv
from tests.support.command_lines import command
from tools.studies import timm_parity

COMMAND = "tools.studies.timm_parity"
CHECKPOINTS = {
    "resnet18": ["a1_in1k", "tv_in1k"],
    "seresnet50": ["a1_in1k"],
    "senet154": ["gluon_in1k"],
    "resnet200": [],
}


def test_checkpoints_are_counted_and_a_network_that_differs_fails(monkeypatch, tmp_path):
    def compared(name, classes):
        same = name != "seresnet50"
        return {
            "module": "none",
            "parameters": 7,
            "difference": "1.0e-06" if same else "1.0e-03",
            "back": "yes",
            "here": "yes" if same else "no",
        }

    monkeypatch.setattr(timm_parity, "_checkpoints", lambda: CHECKPOINTS)
    monkeypatch.setattr(timm_parity, "_compared", compared)
    done = command(COMMAND, f"--out={tmp_path}")
    assert done.returncode == 1
    assert "error: 1 networks are not the same here" in done.stderr
    rows = {row["network"]: row for row in read_csv(tmp_path / "timm.csv")}
    assert list(rows) == sorted(CHECKPOINTS)
    assert rows["senet154"]["here"].startswith("its shortcuts are 3×3 convolutions")
    page = (tmp_path / "timm.md").read_text()
    assert "built here: 0 of 2 with SE or ECA, 0 of 0 of ResNet-RS, with SE, 2 of 4 in all" in page
    assert "| resnet18 | a1_in1k tv_in1k | none | 7 | 1.0e-06 | yes | yes |" in page
    assert (
        "did you mean 'resnet18'"
        in command(COMMAND, f"--out={tmp_path}", "--networks=rsnet18").stderr
    )


@pytest.mark.slow
def test_networks_of_timm_and_why_one_is_not_built(tmp_path):
    pytest.importorskip("timm")
    done = command(COMMAND, f"--out={tmp_path}", "--networks=resnet10t,resnet50_gn", "--classes=5")
    assert done.returncode == 0, done.stderr
    built, other = read_csv(tmp_path / "timm.csv")
    assert (built["here"], built["back"], built["parameters"]) == ("yes", "yes", "4925053")
    assert float(built["difference"]) <= 1e-4
    assert (other["here"], other["parameters"]) == ("it normalizes by groups", "–")
