"""Files that are converted, their cards, and what is refused before anything is written."""

import hashlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from srm_keras.data import Preprocessing
from srm_keras.interop import convert, convert_to_torch, read_keras_file
from srm_keras.models import CifarResNet, ResNet50
from tests.support import command_lines
from tests.support.weights import feature_map

torch = pytest.importorskip("torch")

from tests.support.torch_resnet import torch_resnet  # noqa: E402


def save(path: Path, depth: int, kind: str, **options):
    network = torch_resnet(depth, kind, **options)
    torch.save({"state_dict": network.state_dict()}, path)
    return network


def test_a_torch_file_becomes_a_keras_file_with_a_card(tmp_path):
    network = save(tmp_path / "weights.pth", 18, "authors_ge", classes=6, image_size=64)
    out = tmp_path / "new" / "ge.keras"
    card = convert(tmp_path / "weights.pth", "ge_resnet18", out)
    model = keras.saving.load_model(out)
    x = feature_map((2, 64, 64, 3))
    with torch.no_grad():
        expected = network(torch.tensor(np.moveaxis(x, -1, 1).copy())).softmax(-1).numpy()
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), expected, atol=1e-5)

    assert json.loads(out.with_name("ge.keras.card.json").read_text()) == card
    content = (tmp_path / "weights.pth").read_bytes()
    assert card["source"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (card["source"]["file"], card["source"]["layout"]) == ("weights.pth", "authors")
    assert card["contents"]["classifier"] == card["contents"]["modules"] == "of the source"
    trainable = sum(p.numel() for p in network.parameters())
    assert card["network"]["trainable_parameters"] == trainable
    assert Preprocessing.from_dict(card["preprocessing"]).image_size == 64
    page = out.with_name("ge.keras.card.md").read_text()
    assert page.startswith("# ge_resnet18\n")
    assert card["source"]["sha256"] in page
    assert str(tmp_path) not in page

    back = tmp_path / "back.pth"
    written = convert_to_torch(out, back, "authors")
    assert written["written"]["sha256"] == hashlib.sha256(back.read_bytes()).hexdigest()
    loaded = torch.load(back, weights_only=True)
    assert all(torch.equal(loaded[name], v) for name, v in network.state_dict().items())


@pytest.mark.slow
def test_another_number_of_classes_makes_a_new_classifier(tmp_path):
    save(tmp_path / "weights.pth", 18, "timm_se")
    card = convert(tmp_path / "weights.pth", "se_resnet18", tmp_path / "se.keras", classes=3)
    assert card["contents"]["classifier"] == "new, not trained"
    assert card["contents"]["recalibration"][0] == {"name": "se", "reduction": 8}
    assert card["network"]["output_shape"] == [3]


@pytest.mark.slow
def test_keras_applications_become_a_keras_file(tmp_path):
    out = tmp_path / "start.keras"
    card = convert("keras_applications", "srm_resnet50", out, classes=3, pretrained=None)
    assert card["contents"]["modules"] == card["contents"]["classifier"] == "new, not trained"
    preprocessing = Preprocessing.from_dict(card["preprocessing"])
    pixel = np.array([[[10, 20, 30]]], "uint8")
    scale, offset = preprocessing.scale_and_offset()
    expected = keras.applications.resnet.preprocess_input(pixel.astype("float32"))[..., ::-1]
    np.testing.assert_allclose(pixel * scale + offset, expected, rtol=1e-5)
    assert keras.saving.load_model(out).output_shape == (None, 3)


def random_file(path: Path, kind: str = "timm_se", **changes) -> Path:
    state = {**torch_resnet(18, kind, image_size=32).state_dict(), **changes}
    torch.save({name: value for name, value in state.items() if value is not None}, path)
    return path


@pytest.mark.parametrize(
    ("model", "out", "message"),
    [
        (
            "srm_resnet18",
            "a.keras",
            "must be 'se_resnet18' or 'seresnet18' for these weights, which are of a",
        ),
        ("se_resnet50", "a.keras", "must be 'se_resnet18' or 'seresnet18' for these weights"),
        ("se_resnet19", "a.keras", "did you mean 'se_resnet18'"),
        ("se_cifar_resnet20_basic", "a.keras", "`model` must be one of"),
        ("se_resnet18", "a.h5", r"`out` must be a .keras file"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(model, out, message, tmp_path):
    weights = random_file(tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=message):
        convert(weights, model, tmp_path / out)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]


@pytest.mark.slow
def test_a_broken_state_dict_writes_nothing(tmp_path):
    weights = random_file(tmp_path / "weights.pth", **{"layer4.1.bn2.bias": None})
    with pytest.raises(ValueError, match=r"missing \(1\): layer4.1.bn2.bias"):
        convert(weights, "se_resnet18", tmp_path / "a.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]


def test_weights_without_a_classifier_need_a_number_of_classes(tmp_path):
    missing = {"fc.weight": None, "fc.bias": None}
    weights = random_file(tmp_path / "weights.pth", **missing)
    with pytest.raises(ValueError, match="`classes` is required"):
        convert(weights, "se_resnet18", tmp_path / "a.keras")


def test_averages_are_taken_or_left(tmp_path):
    state = torch_resnet(18, "torchvision", classes=3).state_dict()
    averages = {f"module.{name}": torch.zeros_like(value) for name, value in state.items()}
    torch.save({"state_dict": state, "state_dict_ema": averages}, tmp_path / "a.ckpt")
    out = tmp_path / "out.keras"
    for ema, factor in ((None, 0), (False, 1)):
        convert(tmp_path / "a.ckpt", "resnet18", out, ema=ema)
        kernel = read_keras_file(out).get_layer("conv1_conv").kernel
        expected = factor * np.transpose(state["conv1.weight"].numpy(), (2, 3, 1, 0))
        np.testing.assert_array_equal(ops.convert_to_numpy(kernel), expected)
    with pytest.raises(ValueError, match=r"`ema` is for PyTorch files. Received: ema=True"):
        convert("keras_applications", "resnet50", out, ema=True)


def test_keras_files_that_do_not_fit_are_refused(tmp_path):
    out = tmp_path / "out.pth"
    with pytest.raises(ValueError, match="`weights` must be a file that exists"):
        convert_to_torch(tmp_path / "none.keras", out)
    (tmp_path / "broken.keras").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"broken.keras is no whole zip file"):
        convert_to_torch(tmp_path / "broken.keras", out)
    code = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x)])
    code.save(tmp_path / "code.keras")
    with pytest.raises(ValueError, match=r"code.keras is refused: .*Lambda"):
        convert_to_torch(tmp_path / "code.keras", out)
    CifarResNet(8, recalibration="cbam").save(tmp_path / "cbam.keras")
    with pytest.raises(ValueError, match="'timm' have SqueezeExcite, ECA"):
        convert_to_torch(tmp_path / "cbam.keras", out, "timm")
    with pytest.raises(ValueError, match="`path` must end in one of"):
        convert_to_torch(tmp_path / "cbam.keras", tmp_path / "out.h5")
    assert not out.exists()


def run(*arguments):
    return command_lines.command("convert", *map(str, arguments))


def assert_one_line(result, message: str) -> None:
    assert result.returncode != 0
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--network=resnet50", "--out=a.keras"], "`--weights` is required"),
        (["--weights=a.pth", "--out=a.keras"], "`--network` is required"),
        (["--to=torch", "--weights=a", "--out=b", "--classes=3"], "`--classes` is not for"),
        (["--weights=a", "--out=b", "--network=c", "--layout=timm"], "`--layout` is not for"),
        (["--to=torch", "--weights=a", "--out=b", "--noema"], "`--ema` is not for"),
        (["a.pth"], "Arguments must be flags. Received: a.pth"),
    ],
)
def test_bad_command_lines_end_in_one_line(arguments, message):
    assert_one_line(run(*arguments), message)


@pytest.mark.slow
def test_the_tool_converts_there_and_back(tmp_path):
    network = torch_resnet(50, "authors_srm", classes=4)
    state = network.state_dict()
    averages = {name: torch.zeros_like(value) for name, value in state.items()}
    checkpoint = {"state_dict": state, "state_dict_ema": averages}
    torch.save(checkpoint, tmp_path / "weights.pth")
    keras_file, torch_file = tmp_path / "srm.keras", tmp_path / "back.pth"
    source = f"--weights={tmp_path / 'weights.pth'}"
    there = run(source, "--network=srm_resnet50", f"--out={keras_file}", "--noema")
    assert there.returncode == 0, there.stderr
    assert "srm_resnet50, 23,576,644 trainable parameters, 4 classes" in there.stdout
    assert (
        ResNet50(recalibration="srm", classes=4).count_params()
        - sum(value.numel() for name, value in network.state_dict().items() if "running" in name)
        == 23_576_644
    )
    back = run("--to=torch", f"--weights={keras_file}", f"--out={torch_file}", "--layout=authors")
    assert back.returncode == 0, back.stderr
    loaded = torch.load(torch_file, weights_only=True)
    assert all(torch.equal(loaded[name], v) for name, v in network.state_dict().items())
    wrong = run(f"--weights={torch_file}", "--network=se_resnet50", f"--out={keras_file}")
    assert_one_line(wrong, "`model` must be 'srm_resnet50' for these weights")
