"""All exports of one folder in one pass over its results; one that fails costs the others nothing."""

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import NotAFolder, OutputError, SettingsError, WanwuError, first_line
from ..paths import local_path
from ..results import LEDGER, read_results
from ..settings import check_settings
from ..tagged import Tagged
from .kinds import KINDS, read_kinds
from .notes import TABLE, Notes
from .options import ExportOptions
from .originals import Originals
from .outcome import Exports
from .renewing import Files, note, state_of, still_there
from .source import Source, undisturbed
from .writer import Job, Target, Writer

COPYING = ("yolo", "voc")
WITH_PICTURES = ("gallery",)  # small ones, in any case


def export(
    output_dir: str | os.PathLike[str],
    kinds: str | Iterable[str],
    to_dir: str | os.PathLike[str] = "",
    *,
    copy: bool = False,
    orientation: str = "upright",
    thumbnails: bool = False,
    image_dir: str | os.PathLike[str] = "",
    if_changed: bool = False,
) -> Exports:
    """Write the results in `output_dir` in other formats, as in "csv,coco", into `to_dir`, beside the results if "".

    `copy`: yolo and voc get the pictures too, each turned upright. `orientation`: "upright", or "file" for boxes in the
    pixels as the file has them (coco, yolo, voc). `thumbnails`: small pictures in the xlsx. `image_dir`: where the
    pictures lie, if they have moved since they were tagged. `if_changed`: where all of them are there already, written
    of the same results and options, they stay as they are.

    Each export appears whole or not at all. Returns what was written; `check()` raises where an export failed.
    Raises SettingsError for an unknown export or option, MissingFile where there are no results, OutputBusy where a run
    is writing them, ResultsError for a JSON that is broken, OutputError where `to_dir` cannot be written.

    >>> export("runs/tags", "csv,coco").files["coco"]
    [PosixPath('runs/tags/coco.json')]
    """
    names = read_kinds(kinds)
    options = check_settings(
        ExportOptions, copy_pictures=copy, orientation=orientation, thumbnails=thumbnails, image_dir=image_dir
    )
    with undisturbed(output_dir) as folder:
        target_folder = Path(local_path(to_dir)).absolute() if os.fspath(to_dir) else folder
        source = Source.read(folder, options.image_dir)
        copying = COPYING if options.copy_pictures else ()
        if set(names) & {*copying, *WITH_PICTURES}:
            _check_copies_are_no_pictures(target_folder, source)
        _make(target_folder)
        state = state_of(source, options)
        files = still_there(target_folder, state, names) if if_changed else None
        if files is not None:
            return Exports(files, [], {}, unchanged=True)
        run = _Run(source, target_folder, options)
        exports = run.export(names)
        if not run.originals.missing:  # they may be back the next time
            note(target_folder, state, exports.files)
        return exports


class _Run:
    """The exports of one call, those that have failed taken out as they do."""

    def __init__(self, source: Source, folder: Path, options: ExportOptions) -> None:
        self._source = source
        self._folder = folder
        self._options = options
        self._notes = Notes()
        self.originals = Originals(source, self._notes)
        self._targets: dict[str, Target] = {}
        self._writers: dict[str, Writer] = {}
        self._failed: dict[str, str] = {}
        self._files: Files = {}

    def export(self, kinds: list[str]) -> Exports:
        try:
            self._begin(kinds)
            for tagged in read_results(self._source.folder):
                self._add(tagged)
                if not self._writers:
                    break
            self._finish()
            self._write_notes()
        finally:
            for target in self._targets.values():
                target.discard()
        in_order = {kind: self._files[kind] for kind in kinds if kind in self._files}
        return Exports(in_order, self._notes.sentences(), self._failed)

    def _begin(self, kinds: list[str]) -> None:
        for kind in kinds:
            target = Target(self._folder)
            self._targets[kind] = target
            job = Job(kind, self._source, target, self.originals, self._notes, self._options)
            try:
                self._writers[kind] = KINDS[kind](job)
            except Exception as error:
                self._fail(kind, error)

    def _add(self, tagged: Tagged) -> None:
        for kind, writer in list(self._writers.items()):
            try:
                writer.add(tagged)
            except Exception as error:
                self._fail(kind, error)

    def _finish(self) -> None:
        for kind, writer in list(self._writers.items()):
            try:
                writer.finish()
                self._files[kind] = self._targets[kind].publish()
            except Exception as error:
                self._fail(kind, error)

    def _fail(self, kind: str, error: Exception) -> None:
        self._failed[kind] = self._sentence(error)
        self._writers.pop(kind, None)
        self._targets[kind].discard()

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, WanwuError):
            return str(error)
        if isinstance(error, OSError):
            reason = error.strerror or first_line(error)
            where = error.filename or self._folder
            return f"{where} cannot be written ({reason})"
        return f"{type(error).__name__}: {first_line(error)}"

    def _write_notes(self) -> None:
        """The table of all pictures that something is noted of; one of an earlier export goes."""
        table = self._notes.table()
        path = self._folder / TABLE
        if not table:
            path.unlink(missing_ok=True)
            return
        target = Target(self._folder)
        with target.open(TABLE) as file:
            file.write(table)
        target.publish()
        self._notes.say(f"all of these pictures are listed in {path}")


def _make(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotAFolder(f"to_dir {folder} is a file: give a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"to_dir {folder} cannot be made ({error.strerror}): choose another") from None


def _check_copies_are_no_pictures(folder: Path, source: Source) -> None:
    """The next run must not tag them: it searches the folder of pictures, and passes output folders over."""
    if not source.image_dir:
        return
    pictures = Path(source.image_dir).resolve()
    place = folder.resolve()
    while place != pictures:
        if place == place.parent or (place / LEDGER).is_file():
            return
        place = place.parent
    raise SettingsError(f"copies in {folder} would be tagged as pictures by the next run: give a to_dir outside")
