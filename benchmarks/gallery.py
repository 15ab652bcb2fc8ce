"""The gallery of 10,000 pictures: how long it takes to write, to open and to filter, in Debian's chromium.

    python -m benchmarks.gallery [--record FILE.json] [--count N]

The results are those of the demo detector on drawn scenes, under as many names. It is written twice: with the small
pictures to be made, and with all of them there. First paint is the browser's own figure, from the start of navigation;
a filter is timed from its event until the page is laid out again. Medians.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from wanwu_nb.exports import export
from wanwu_nb.exports.gallery import NAME

from . import harness

COUNT, TURNS = 10_000, 5
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
FILTER = """([id, value]) => {
  const control = document.getElementById(id);
  control.value = value;
  const started = performance.now();
  control.dispatchEvent(new Event("input", { bubbles: true }));
  document.getElementById("grid").getBoundingClientRect();
  return performance.now() - started;
}"""
FILTERS = {
    "text": ["苹果", "00042", ""],
    "label": ["苹果", ""],
    "confidence": ["0.8", "0"],
    "sort": ["unsurest", "name"],
}


def main() -> None:
    parser = harness.command_line(__doc__)
    parser.add_argument("--count", type=harness.positive, default=COUNT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as parent:
        figures = measure(Path(parent), options.count)
    print(
        f"{options.count:,} pictures: written in {figures['seconds']:.1f} s, the first time, small pictures made, in "
        f"{figures['first_seconds']:.1f} s; {figures['megabytes']:.1f} MB; first paint {figures['first_paint_ms']:.0f} "
        f"ms; filters {figures['filter_ms']:.0f} ms, the slowest {figures['slowest_filter_ms']:.0f} ms"
    )
    if options.record:
        harness.write_record(options.record, figures)


def measure(parent: Path, count: int) -> dict[str, Any]:
    from .memory import link_pictures
    from .redecide import finish

    folder, output = parent / "pictures", parent / "tags"
    link_pictures(folder, count)
    finish(folder, output)
    first, again = seconds_of_export(output), seconds_of_export(output)
    page = output / NAME
    opened = [in_browser(page) for _ in range(TURNS)]
    filters = [each for turn in opened for each in turn["filters_ms"]]
    return {
        "pictures": count,
        "first_seconds": round(first, 2),
        "seconds": round(again, 2),
        "megabytes": round(page.stat().st_size / 1e6, 2),
        "first_paint_ms": round(statistics.median(turn["first_paint_ms"] for turn in opened), 1),
        "filter_ms": round(statistics.median(filters), 1),
        "slowest_filter_ms": round(max(filters), 1),
    }


def seconds_of_export(output: Path) -> float:
    started = time.perf_counter()
    export(output, "gallery").check()
    return time.perf_counter() - started


def in_browser(page: Path) -> dict[str, Any]:
    """A browser of its own: nothing is in its cache."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.goto(page.as_uri())
        while not (first_paint := tab.evaluate(FIRST_PAINT)):
            time.sleep(0.05)
        filters = [tab.evaluate(FILTER, [name, value]) for name, values in FILTERS.items() for value in values]
        browser.close()
    return {"first_paint_ms": first_paint, "filters_ms": filters}


if __name__ == "__main__":
    main()
