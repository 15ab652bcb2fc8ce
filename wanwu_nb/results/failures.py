"""failures.csv: the pictures that could not be tagged, each with its reason."""

import codecs
import csv
import io
from collections.abc import Mapping


def failures_table(failures: Mapping[str, str]) -> bytes:
    """Returns the table of reasons by picture, as spreadsheets read it.

    >>> failures_table({})
    b'\xef\xbb\xbfimage,reason\r\n'
    """
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(("image", "reason"))
    in_order = sorted(failures.items())
    rows.writerows(in_order)
    text = table.getvalue()
    content = text.encode("utf-8", "backslashreplace")  # a file name may be no UTF-8
    return codecs.BOM_UTF8 + content  # the mark tells spreadsheets
