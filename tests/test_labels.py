"""Labels files: read right or refused, never shifted."""

import codecs
import json
from pathlib import Path

import pytest
from model_files import NAMES, classifier, modelscope_folder, save_traced, torch_cache, write_labels
from small_networks import MeanColour

from wanwu_nb.checkpoints import open_checkpoint, read_labels
from wanwu_nb.errors import MissingFile, ModelError

TWO = {0: "台灯", 1: "椅子"}
HEADED = "类别名称\n" + "\n".join(NAMES)


def labels_file(folder: Path, content: str | bytes, name: str = "labels.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"0": "台灯", "2": "椅子"}', {0: "台灯", 2: "椅子"}),
        ('["台灯", "椅子"]', TWO),
        ("台灯\n椅子\n", TWO),
        ("1\t台灯\n2\t椅子\n", {1: "台灯", 2: "椅子"}),
        ("n01\t台灯\tlamp\nn02\t椅子\tchair\n", TWO),
        ("\ufeff台灯\r\n椅子", TWO),
        ("id\tname\n0\t台灯\n1\t椅子\n", TWO),
        ("编号\t名称\n1\t台灯\n2\t椅子\n", {1: "台灯", 2: "椅子"}),
        ("\n1\t台灯\n\n2\t椅子\n", {1: "台灯", 2: "椅子"}),
        ("台灯\t0\n椅子\t1\n", TWO),
        ("0,台灯\n1,椅子\n", TWO),
        ("0\n1\n2\n", {0: "0", 1: "1", 2: "2"}),
        ("tench, Tinca tinca\nlamp, 台灯\n", {0: "tench, Tinca tinca", 1: "lamp, 台灯"}),
        ('"quoted\nlamp\n', {0: '"quoted', 1: "lamp"}),
    ],
)
def test_labels_files(tmp_path, content, expected):
    assert read_labels(labels_file(tmp_path, content)) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("behind", ["", "\n", "\n \n\t\n", "\r\n\r\n"])
def test_any_line_end_that_a_person_would_call_one(tmp_path, end, behind):
    assert read_labels(labels_file(tmp_path, f"台灯{end}椅子{behind}")) == TWO


@pytest.mark.parametrize("character", ["\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"])
def test_no_other_character_ends_a_line(tmp_path, character):
    assert read_labels(labels_file(tmp_path, f"台{character}灯\n椅子\n")) == {0: "台 灯", 1: "椅子"}


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("gbk", b""),
        ("gb18030", b""),
    ],
)
def test_chinese_in_the_encodings_that_it_comes_in(tmp_path, encoding, mark):
    content = mark + "台灯\r\n椅子\r\n".encode(encoding)
    assert read_labels(labels_file(tmp_path, content)) == TWO


@pytest.mark.parametrize("encoding", ["big5", "latin-1", "utf-16-le", "shift_jis"])
def test_other_encodings_are_refused_rather_than_read_wrong(tmp_path, encoding):
    words = {"big5": "檯燈\n燈具\n鬧鐘", "latin-1": "très\ncafé\nMöbel", "shift_jis": "テーブル\nランプ\n椅子"}
    content = words.get(encoding, "lamp\nchair").encode(encoding)
    with pytest.raises(ModelError, match=r"neither UTF-8 nor GB18030: convert it|is not text: save it as UTF-8"):
        read_labels(labels_file(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("0,台灯\n1,椅子\n", TWO),
        ("id,name\n0,台灯\n1,椅子\n", TWO),
        ("name,id\n台灯,0\n椅子,1\n", TWO),
        ("id,english,中文\n0,lamp,台灯\n1,chair,椅子\n", TWO),
        ("name\n台灯\n椅子\n", TWO),
        ("name,english\n台灯,lamp\n椅子,chair\n", TWO),
        ('id,name\n0,"台灯, 落地"\n1,椅子\n', {0: "台灯, 落地", 1: "椅子"}),
        ("id;name\n5;台灯\n7;椅子\n", {5: "台灯", 7: "椅子"}),
        ("台灯\n椅子\n", TWO),
    ],
)
def test_csv_files(tmp_path, content, expected):
    assert read_labels(labels_file(tmp_path, content, "labels.csv"), classes=max(expected) + 1) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("path: ../data\nnc: 2\nnames: [台灯, 椅子]\n", TWO),
        ("names:\n  0: 台灯\n  1: 椅子\n", TWO),
        ("names:\n- 台灯\n- no\n- 1\n", {0: "台灯", 1: "no", 2: "1"}),
        ("# COCO\nnames:\r\n  1: '台灯'\r\n  3: 椅子\r\n", {1: "台灯", 3: "椅子"}),
    ],
)
@pytest.mark.parametrize("name", ["data.yaml", "labels.txt"])
def test_yolos_data_yaml(tmp_path, content, expected, name):
    assert read_labels(labels_file(tmp_path, content, name)) == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n \r\n", "is empty"),
        (b"[]", "names no class"),
        (b"{}", "names no class"),
        (b'{"a": "b"}', "keys must be class ids"),
        (b'{"0": ', "is not JSON"),
        (b'{"0": ""}', "class 0 has no name"),
        (b'{"0": "lamp", "0": "chair"}', "class 0 is there twice, as 'lamp' and as 'chair'"),
        (b'{"0": "lamp", "00": "chair"}', "class 0 is there twice"),
        (b'{"-1": "lamp"}', "class ids lie in 0…16,777,215, and -1 does not"),
        (b'{"99999999999": "lamp"}', "and 99999999999 does not"),
        (b"1\tlamp\n2\n", "class 2 has no name"),
        (b"lamp\n\nchair\n", "class 1 has no name"),
        (b"1\tlamp\n1\tchair\n", "class 1 is there twice"),
        (b"0\tlamp\nO\tchair\n2\tbed\n", "most lines begin with a class id, and 'O chair' does not"),
        (b"cid\tword\n1\tlamp\n2\tchair\n", "most lines begin with a class id, and 'cid word' does not"),
        (b"name\nlamp\nchair\n", "whether its first line is a name or a heading cannot be told"),
        (b"\nlamp\nchair\n", "whether its first line is a name or a heading cannot be told"),
        (b"names: lamp\n", "has no list of names"),
        (b"names: [lamp, chair]\nnc: 3\n", "nc is 3, and names are 2"),
        (b"names: {0: lamp, 0: chair}\n", "class 0 is there twice"),
        (b"names: {lamp: 0}\n", "must be class ids, and 'lamp' is none"),
        (b"names: [lamp, [a, b]]\n", "class 1 has no name"),
        (b"names: [lamp\n", "is not YAML"),
        (b"\x00\x01\x02", "is not text"),
    ],
)
def test_labels_files_that_are_wrong(tmp_path, content, says):
    with pytest.raises(ModelError, match=says):
        read_labels(labels_file(tmp_path, content))


@pytest.mark.parametrize("content", ["台灯,lamp\n椅子,chair\n", "台灯,落地\n椅子\n"])
def test_a_csv_file_whose_columns_nobody_knows_is_refused(tmp_path, content):
    with pytest.raises(ModelError, match="write class id and name, with the heading id,name"):
        read_labels(labels_file(tmp_path, content, "labels.csv"))


@pytest.mark.parametrize(
    ("classes", "expected"), [(3, dict(enumerate(NAMES))), (4, dict(enumerate(["类别名称", *NAMES])))]
)
def test_the_number_of_classes_tells_a_heading_from_a_name(tmp_path, classes, expected):
    assert read_labels(labels_file(tmp_path, HEADED), classes) == expected


@pytest.mark.parametrize(("classes", "first"), [(3, 0), (4, 1), (5, 2)])
def test_the_number_of_classes_tells_what_a_blank_first_line_is(tmp_path, classes, first):
    blank = "\n" * max(1, first)
    path = labels_file(tmp_path, blank + "\n".join(NAMES))
    assert read_labels(path, classes) == dict(enumerate(NAMES, first))


@pytest.mark.parametrize("content", [HEADED, "\n" + "\n".join(NAMES)])
def test_the_weights_tell_whether_the_first_line_is_a_name(tmp_path, content):
    path = classifier(tmp_path, "timm")
    labels_file(tmp_path, content)
    assert open_checkpoint(str(path), architecture="timm/resnet18").labels == dict(enumerate(NAMES))


def test_where_no_weights_tell_a_heading_is_refused(tmp_path):
    save_traced(MeanColour(), tmp_path / "model.pt")
    labels_file(tmp_path, HEADED)
    with pytest.raises(ModelError, match="whether its first line is a name or a heading"):
        open_checkpoint(str(tmp_path / "model.pt"))


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        (" 台灯 ", "台灯"),
        ("台\u202e灯", "台灯"),
        ("台\n灯\x07", "台 灯"),
        ("\ufeff台灯", "台灯"),
        ("台\ud800灯", "台灯"),
        ("Tasse à café 🏳️‍🌈", "Tasse à café 🏳️‍🌈"),
    ],
)
def test_names_are_clean(tmp_path, name, clean):
    path = labels_file(tmp_path, json.dumps([name]), "labels.json")
    assert read_labels(path) == {0: clean}


def test_a_labels_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingFile, match=r"labels file .*none\.json does not exist"):
        open_checkpoint("demo", labels=str(tmp_path / "none.json"))


def test_labels_that_are_a_folder(tmp_path):
    with pytest.raises(ModelError, match=r"labels .* is a folder: give the file that lies in it"):
        open_checkpoint("demo", labels=str(tmp_path))


def test_a_file_without_labels_says_where_to_put_them(tmp_path):
    path = classifier(tmp_path, "timm")
    (tmp_path / "labels.txt").unlink()
    with pytest.raises(MissingFile, match=r"has no labels: set labels=…, or put labels_zh\.json beside it"):
        open_checkpoint(str(path), architecture="timm/resnet18")


# --- as many names as classes -----------------------------------------------------------------------------------------


def test_labels_of_the_wrong_length_show_both_counts(tmp_path):
    path = classifier(tmp_path, "timm")
    four = write_labels(tmp_path, [*NAMES, "手机"])
    with pytest.raises(ModelError, match=r"with 4 classes: fc\.weight is \[3, 512\] in the file and \[4, 512\]"):
        open_checkpoint(str(path), str(four), "timm/resnet18")


def test_fewer_names_than_a_published_detector_has_classes(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(torch_cache(tmp_path / "cache")))
    path = write_labels(tmp_path, [f"物品{i}" for i in range(80)])
    with pytest.raises(ModelError, match=r"has 91 classes, and .* names 80, the last of them class 79: name all 91"):
        open_checkpoint("torchvision/ssdlite320_mobilenet_v3_large", labels=str(path))


def test_gaps_in_the_numbering_are_right(tmp_path, monkeypatch):
    """COCO's own: 80 names for classes 1 to 90."""
    monkeypatch.setenv("TORCH_HOME", str(torch_cache(tmp_path / "cache")))
    labels = open_checkpoint("torchvision/ssdlite320_mobilenet_v3_large").labels
    assert len(labels) == 80
    assert max(labels) == 90


def test_modelscopes_own_labels_are_read_by_the_same_lines(tmp_path):
    folder = modelscope_folder(tmp_path / "folder")
    lines = (folder / "meta_info.txt").read_text(encoding="utf-8").replace(NAMES[1], "椅\x85子").replace("\n", "\r")
    (folder / "meta_info.txt").write_bytes(lines.encode("utf-8-sig"))
    assert open_checkpoint(str(folder)).labels == {0: NAMES[0], 1: "椅 子", 2: NAMES[2]}


def test_an_empty_meta_info_is_refused(tmp_path):
    folder = modelscope_folder(tmp_path / "folder")
    (folder / "meta_info.txt").write_text("")
    with pytest.raises(ModelError, match=r"meta_info\.txt names no class"):
        open_checkpoint(str(folder))
