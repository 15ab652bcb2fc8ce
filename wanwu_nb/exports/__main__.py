"""python -m wanwu_nb.exports OUTPUT_DIR --to coco,xlsx [--to-dir FOLDER] [--copy] [--orientation file] …"""

import argparse
import sys

from ..errors import SettingsError, WanwuError
from .exporting import export
from .kinds import KINDS, read_kinds
from .outcome import Exports


def main() -> int:
    """Export a finished folder from the command line. Returns the exit code: 1 where something could not be exported.

    Example: `python -m wanwu_nb.exports runs/tags --to csv,coco`
    """
    options = vars(_parser().parse_args())
    try:
        if not read_kinds(options["to"]):
            raise SettingsError(f"--to names no format: known are {', '.join(KINDS)}")
        exports = export(options.pop("output_dir"), options.pop("to"), **options)
        _show(exports)
        exports.check()
    except WanwuError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m wanwu_nb.exports", description="Results in other formats.")
    names = ",".join(KINDS)
    parser.add_argument("output_dir", help="folder that a run has finished")
    parser.add_argument("--to", required=True, help=f"formats, as in coco,xlsx; all: {names}")
    parser.add_argument("--to-dir", default="", help="folder for the files; else beside the results")
    parser.add_argument("--copy", action="store_true", help="yolo, voc: copy the pictures too, each turned upright")
    parser.add_argument("--orientation", default="upright", help='"file": boxes in the pixels as files have them')
    parser.add_argument("--thumbnails", action="store_true", help="xlsx: small pictures in the first column")
    parser.add_argument("--if-changed", action="store_true", help="leave them where nothing is new since")
    parser.add_argument("--image-dir", default="", help="where the pictures lie now, if they have moved")
    return parser


def _show(exports: Exports) -> None:
    for kind, paths in exports.files.items():
        print(f"{kind}: {', '.join(map(str, paths))}")
    if exports.unchanged:
        print("nothing is new: they stay as they are")
    for note in exports.notes:
        print(note)


if __name__ == "__main__":
    sys.exit(main())
