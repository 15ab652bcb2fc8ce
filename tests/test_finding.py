"""What a folder holds: its pictures, linked ones too, each once; what is left out, and that it is counted."""

import errno
import os
from pathlib import Path

import pytest

from wanwu_nb import tag_folder
from wanwu_nb.errors import MissingFile, NotAFolder, PicturesError
from wanwu_nb.finding import Listing, find_images, list_pictures
from wanwu_nb.left_out import NOT_SERVED, SUFFIXES
from wanwu_nb.results import OutputFolder
from wanwu_nb.tagged import Failed
from wanwu_nb.versions import version_of


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def run_into(output: Path, pictures: Path, *names: str) -> None:
    """What a run leaves: a ledger with a line a picture, images/, and the notebook's sheet."""
    with OutputFolder(output, "key") as folder:
        folder.begin({"batch_size": 8}, {0: "台灯"})
        for name in names:
            folder.put(Failed(name, version_of(pictures, name), "decode", "a reason"))
    make(output, "contact_sheet.jpg")


def test_find_searches_sub_folders_in_order_and_any_case(tmp_path):
    make(tmp_path, "b/2.JPG", "a.png", "b/1.jpeg", "鞋/红.webp", "notes.txt", ".hidden.jpg", ".git/x.jpg", "b/c/d.TIFF")
    assert find_images(tmp_path) == ["a.png", "b/1.jpeg", "b/2.JPG", "b/c/d.TIFF", "鞋/红.webp"]
    assert find_images(str(tmp_path), limit=2) == ["a.png", "b/1.jpeg"]


def test_odd_names_are_names_as_they_are(tmp_path):
    odd = ["new\nline.jpg", "-rf.jpg", "空 格 😀.jpg", "a\\b.jpg", "\udcff\udcfe.jpg", "two..dots.jpg", "Z.JPG"]
    for name in odd:
        (tmp_path / name).touch()
    assert find_images(tmp_path) == sorted(odd)


def test_find_says_what_is_wrong_with_a_folder(tmp_path):
    with pytest.raises(MissingFile, match="does not exist: check image_dir"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(PicturesError, match=r"no picture in .* are looked for$"):
        find_images(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotAFolder, match="is not a folder"):
        find_images(tmp_path / "file")


def test_a_folder_without_pictures_says_what_lies_there_instead(tmp_path):
    make(tmp_path, "a.psd", "b.PSD", "c.cr2", ".d.jpg", "notes.txt")
    (tmp_path / "not mounted").symlink_to(tmp_path / "nowhere")
    with pytest.raises(PicturesError) as error:
        find_images(tmp_path)
    assert str(error.value).endswith(
        "and what is there was left out: format not served: .cr2 (1), format not served: .psd (2), hidden file (1), "
        "cannot be read: not mounted (1)"
    )


@pytest.mark.parametrize(("limit", "names", "complete"), [(0, 3, True), (2, 2, False), (3, 3, True), (4, 3, True)])
def test_a_listing_that_was_cut_off_is_not_complete(tmp_path, limit, names, complete):
    listing = list_pictures(make(tmp_path, "a.jpg", "b.jpg", "c.jpg"), limit)
    assert len(listing.names) == names
    assert listing.complete is complete
    assert [*listing.names, *listing.beyond] == ["a.jpg", "b.jpg", "c.jpg"]


# --- linked folders ---------------------------------------------------------------------------------------------------


def test_linked_folders_are_followed_and_linked_files_are_pictures(tmp_path):
    make(tmp_path / "elsewhere", "b.jpg", "sub/c.jpg")
    top = make(tmp_path / "top", "a.jpg")
    (top / "linked").symlink_to(tmp_path / "elsewhere")
    (top / "link.jpg").symlink_to("a.jpg")
    (top / "broken.jpg").symlink_to("nowhere")
    (top / "itself.jpg").symlink_to("itself.jpg")
    names = ["a.jpg", "broken.jpg", "itself.jpg", "link.jpg", "linked/b.jpg", "linked/sub/c.jpg"]
    assert list_pictures(top) == Listing(names, {}, [], complete=True)


def test_each_real_folder_is_listed_once_and_by_its_own_name_first(tmp_path):
    """A link renames no result, wherever in the order of names it stands."""
    top = make(tmp_path / "top", "m/a.jpg", "m/sub/b.jpg", "z.jpg")
    before = find_images(top)
    (top / "a link").symlink_to(top / "m")
    (top / "m/sub/up").symlink_to(top / "m")
    (top / "m/sub/loop").symlink_to(".")
    (top / "z link").symlink_to(top / "m/sub")
    listing = list_pictures(top)
    assert listing.names == before == ["m/a.jpg", "m/sub/b.jpg", "z.jpg"]
    assert listing.left_out == {"linked folder that is listed already": 4}
    assert listing.complete


def test_of_two_links_to_one_folder_the_first_by_name_counts(tmp_path):
    make(tmp_path / "elsewhere", "a.jpg")
    top = make(tmp_path / "top", "z.jpg")
    (top / "two").symlink_to(tmp_path / "elsewhere")
    (top / "one").symlink_to(tmp_path / "elsewhere")
    assert find_images(top) == ["one/a.jpg", "z.jpg"]


def test_a_link_to_the_folder_above_ends(tmp_path):
    top = make(tmp_path, "beside/b.jpg", "top/a.jpg") / "top"
    (top / "up").symlink_to(tmp_path)
    listing = list_pictures(top)
    assert listing.names == ["a.jpg", "up/beside/b.jpg"]
    assert listing.left_out == {"linked folder that is listed already": 1}


def test_links_behind_links_are_followed_after_the_nearer_ones(tmp_path):
    make(tmp_path, "x/a.jpg", "y/b.jpg", "y/deep/c.jpg", "top/z.jpg")
    (tmp_path / "x/to_deep").symlink_to(tmp_path / "y/deep")
    (tmp_path / "top/1").symlink_to(tmp_path / "x")
    (tmp_path / "top/2").symlink_to(tmp_path / "y")
    assert find_images(tmp_path / "top") == ["1/a.jpg", "2/b.jpg", "2/deep/c.jpg", "z.jpg"]


def test_the_top_may_be_a_link_or_hidden_or_named_as_the_system_does(tmp_path):
    make(tmp_path, ".hidden/@eaDir/a.jpg")
    (tmp_path / "top").symlink_to(tmp_path / ".hidden/@eaDir")
    assert find_images(tmp_path / "top") == ["a.jpg"]


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path):
    make(tmp_path, "folder.jpg/a.jpg", "elsewhere.png/b.jpg")
    top = tmp_path / "folder.jpg"
    (top / "link.jpg").symlink_to(tmp_path / "elsewhere.png")
    assert find_images(tmp_path) == ["elsewhere.png/b.jpg", "folder.jpg/a.jpg"]
    assert find_images(top) == ["a.jpg", "link.jpg/b.jpg"]


def test_folders_are_told_apart_where_a_file_system_numbers_none(tmp_path, monkeypatch):
    make(tmp_path / "elsewhere", "b.jpg")
    top = make(tmp_path / "top", "sub/a.jpg")
    (top / "linked").symlink_to(tmp_path / "elsewhere")
    (top / "loop").symlink_to(top)
    real = os.stat

    def without_numbers(path, **options):
        fields = list(real(path, **options))
        fields[1] = 0
        return os.stat_result(fields)

    monkeypatch.setattr(os, "stat", without_numbers)
    assert find_images(top) == ["linked/b.jpg", "sub/a.jpg"]


# --- what cannot be read ----------------------------------------------------------------------------------------------


def refuse(monkeypatch, *refused: Path) -> None:
    """As for a user without the right to read; root, who may run the tests, has them all."""
    real = os.scandir

    def scandir(path):
        if Path(path) in refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_an_unreadable_sub_folder_costs_its_pictures_alone(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg", "b/c.jpg", "b/d/e.jpg", "f/g.jpg")
    refuse(monkeypatch, tmp_path / "b/d", tmp_path / "f")
    assert list_pictures(tmp_path) == Listing(["a.jpg", "b/c.jpg"], {}, ["b/d", "f"], complete=False)


def test_a_link_that_leads_nowhere_may_have_led_to_pictures(tmp_path):
    make(tmp_path, "a.jpg")
    (tmp_path / "not mounted").symlink_to(tmp_path / "nowhere")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "notes").symlink_to("a.jpg")
    assert list_pictures(tmp_path) == Listing(["a.jpg"], {}, ["itself", "not mounted"], complete=False)


def test_an_unreadable_top_folder_is_one_sentence(tmp_path, monkeypatch):
    refuse(monkeypatch, make(tmp_path, "a.jpg"))
    with pytest.raises(PicturesError, match=r"cannot be read \(Permission denied\): check image_dir"):
        find_images(tmp_path)
    with pytest.raises(PicturesError, match=r"cannot be read \(File name too long\)"):
        find_images(tmp_path / ("x" * 300))


# --- what is left out -------------------------------------------------------------------------------------------------


def test_what_is_hidden_the_systems_or_not_served_is_counted_by_reason(tmp_path):
    make(tmp_path, "a.jpg", "._a.jpg", "sub/.b.png", ".git/c.jpg", "@eaDir/a.jpg/thumb.jpg", "sub/@eadir/d.jpg")
    make(tmp_path, "__MACOSX/._a.jpg", ".AppleDouble/a.jpg", "lost+found/e.jpg", "Thumbs.db", ".DS_Store")
    make(tmp_path, "f.psd", "sub/G.PSD", "h.jxl", "i.NEF", "notes.txt", "jpg", "no_suffix", "film.mp4")
    listing = list_pictures(tmp_path)
    assert listing.names == ["a.jpg"]
    assert listing.left_out == {
        "format not served: .jxl": 1,
        "format not served: .nef": 1,
        "format not served: .psd": 2,
        "hidden file": 2,
        "hidden folder": 1,
        "system file": 2,
        "system folder": 5,
    }
    assert listing.complete


def test_a_suffix_is_served_or_not():
    assert NOT_SERVED.isdisjoint(SUFFIXES)
    assert {suffix[0] for suffix in NOT_SERVED} == {"."}
    served_not = ".jxl .jp2 .j2k .psd .svg .eps .cr2 .nef .arw .dng .raf .orf .rw2 .ico"
    assert set(served_not.split()) < NOT_SERVED


# --- what a run wrote -------------------------------------------------------------------------------------------------


def test_an_output_folder_among_the_pictures_holds_none(tmp_path):
    """Of this run, which need not have begun, or of another, told by its ledger; however it is reached."""
    make(tmp_path / "top", "a.jpg", "own/stray.jpg", "own/images/stray.png")
    run_into(tmp_path / "top/sub/other", tmp_path / "top", "a.jpg")
    run_into(tmp_path / "outside", tmp_path / "top", "a.jpg")
    make(tmp_path / "outside", "exported/crop.jpg")
    (tmp_path / "top/results").symlink_to(tmp_path / "outside")
    (tmp_path / "top/crops").symlink_to(tmp_path / "outside/exported")
    own = tmp_path / "top/own", tmp_path / "not there"
    assert list_pictures(tmp_path / "top", own=own) == Listing(["a.jpg"], {"output folder": 4}, [], complete=True)


def test_a_link_into_the_own_output_folder_leads_to_no_picture(tmp_path):
    make(tmp_path, "top/a.jpg", "out/exported/crop.jpg")
    (tmp_path / "top/crops").symlink_to(tmp_path / "out/exported")
    listing = list_pictures(tmp_path / "top", own=[tmp_path / "out"])
    assert listing == Listing(["a.jpg"], {"output folder": 1}, [], complete=True)


def test_pictures_that_are_tagged_in_place_stay_pictures(tmp_path):
    """image_dir is output_dir, or was when a sub-folder was tagged: only what a run writes there is left out."""
    make(tmp_path, "a.jpg", "sub/b.jpg", "images/c.jpg")
    run_into(tmp_path, tmp_path, "a.jpg", "sub/b.jpg")
    run_into(tmp_path / "sub", tmp_path / "sub", "b.jpg")
    for path in tmp_path.rglob(".lock"):
        path.unlink()  # some systems keep it
    names = ["a.jpg", "images/c.jpg", "sub/b.jpg"]
    left_out = {"written by a run": 2}
    assert list_pictures(tmp_path, own=[tmp_path]) == Listing(names, left_out, [], complete=True)


def test_a_copy_of_a_picture_among_results_is_a_result(tmp_path):
    """Drawn on, say: of the picture's name, and another file."""
    make(tmp_path / "top", "a.jpg")
    run_into(tmp_path / "top/tags", tmp_path / "top", "a.jpg")
    (tmp_path / "top/tags/a.jpg").write_bytes(b"with boxes")
    assert find_images(tmp_path / "top") == ["a.jpg"]


@pytest.mark.parametrize(
    "ledger",
    [b"", b"accounts", b'{"image": "a.jpg"}', b"[" * 10_000, b'{"key": 1, "image": "a"}'],
)
def test_a_ledger_of_somebody_elses_hides_no_picture(tmp_path, ledger):
    make(tmp_path, "sub/a.jpg", "sub/images/b.jpg")
    (tmp_path / "sub/ledger.jsonl").write_bytes(ledger)
    assert find_images(tmp_path) == ["sub/a.jpg", "sub/images/b.jpg"]


def test_a_name_that_no_file_can_have_ends_nothing(tmp_path):
    make(tmp_path, "a.jpg", "sub/b.jpg", "sub/images/c.jpg")
    (tmp_path / "sub/ledger.jsonl").write_bytes(b'{"key": "k", "image": "a\\u0000b"}\n{"key": "k", "image": "\\ud800"}')
    assert list_pictures(tmp_path) == Listing(["a.jpg"], {"output folder": 1}, [], complete=True)


def test_a_pipe_named_like_a_ledger_is_not_opened(tmp_path):
    make(tmp_path, "sub/a.jpg", "sub/images/b.jpg")
    os.mkfifo(tmp_path / "sub/ledger.jsonl")
    assert find_images(tmp_path) == ["sub/a.jpg", "sub/images/b.jpg"]


def test_a_run_into_the_folder_of_its_pictures_tags_the_same_again(model, scenes, tmp_path):
    """The sheet that the notebook draws is no picture of the next night."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in sorted(scenes.glob("*.jpg"))[:2]:
        (folder / path.name).write_bytes(path.read_bytes())
    first = tag_folder(model, folder, folder / "tags")
    make(folder / "tags", "contact_sheet.jpg")
    again = tag_folder(model, folder, folder / "tags")
    assert (first.total_images, first.processed) == (2, 2)
    assert (again.total_images, again.resumed) == (2, 2)
