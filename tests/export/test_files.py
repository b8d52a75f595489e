import pytest

from srm_keras.export.files import replace, size_in_bytes, temporary_sibling, write_text


def folder_with(path, text):
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").write_text(text)
    return path


def test_a_folder_takes_the_place_of_another(tmp_path):
    old = folder_with(tmp_path / "model", "old")
    new = folder_with(tmp_path / "new", "new!")
    replace(new, old)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (old / "inner" / "file").read_text() == "new!"
    assert size_in_bytes(old) == 4


def test_the_old_folder_returns_where_the_new_one_cannot_come(tmp_path):
    old = folder_with(tmp_path / "model", "old")
    with pytest.raises(FileNotFoundError):
        replace(tmp_path / "missing", old)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (old / "inner" / "file").read_text() == "old"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_not_renamed_is_deleted(kind, tmp_path):
    path = tmp_path / "deep" / "model.tflite"
    with pytest.raises(KeyboardInterrupt), temporary_sibling(path) as temporary:  # noqa: PT012
        assert temporary.parent == path.parent
        assert temporary.suffix == ".tflite"
        if kind == "file":
            temporary.write_text("half")
        else:
            folder_with(temporary, "half")
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []


def test_text_replaces_text(tmp_path):
    write_text(tmp_path / "a.md", "one")
    write_text(tmp_path / "a.md", "zwölf")
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == "zwölf"
    assert len(list(tmp_path.iterdir())) == 1
