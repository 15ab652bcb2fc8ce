"""Run the notebooks on their defaults and keep the outputs, normalised: `make notebooks`.

What varies from run to run without telling anything (timings, widgets, versions) is dropped, paths of the machine are
shortened, so that a commit shows what changed. The tests hold the committed notebooks to the same form.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
import papermill
import skimage
from platformdirs import user_cache_path
from playwright.sync_api import sync_playwright

from wanwu_nb import ResidentModel, read_results, tag_folder
from wanwu_nb.views.pictures import contact_sheet

PHOTOGRAPHS = ("coffee.png", "chelsea.png", "rocket.jpg")
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def main() -> None:
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            executed = papermill.execute_notebook(path, None, cwd=folder, kernel_name="python3", progress_bar=False)
            if (sheet := Path(folder) / "runs/tags/contact_sheet.jpg").exists():
                shutil.copy(sheet, NOTEBOOKS.parent / "docs")  # the README shows it, and the gallery
                photograph(Path(folder) / "runs/tags/gallery.html", NOTEBOOKS.parent / "docs/gallery.jpg")
            names = {str(Path(folder).resolve()): "…/notebooks", str(user_cache_path("wanwu_nb")): "~/.cache/wanwu_nb"}
        shorten_paths(executed, names)
        nbformat.write(normalised(executed), path)
        print(f"{path.name}: run and written", file=sys.stderr)
    draw_photographs(NOTEBOOKS.parent / "docs/photographs.jpg")


def photograph(page: Path, path: Path) -> None:
    """The page as Debian's chromium shows it; without one, the picture stays as it is."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print(f"no chromium: {path.name} stays as it is", file=sys.stderr)
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 580})
        tab.goto(page.as_uri())
        tab.check("#boxes")
        tab.wait_for_load_state("networkidle")
        tab.screenshot(path=path, type="jpeg", quality=82)
        browser.close()


def draw_photographs(path: Path) -> None:
    """Real photographs with the everyday model's tags, which the README shows: all in the public domain (CC0)."""
    source = Path(skimage.__file__).parent / "data"
    with tempfile.TemporaryDirectory() as folder:
        photographs, output = Path(folder, "photographs"), Path(folder, "tags")
        photographs.mkdir()
        for name in PHOTOGRAPHS:
            shutil.copy(source / name, photographs)
        tag_folder(ResidentModel.load("everyday", precision="fp32"), photographs, output)
        contact_sheet(photographs, read_results(output)).save(path, quality=85)


def normalised(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The form in which notebooks are committed; works in place."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {})
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            if "metadata" in output:
                output["metadata"] = nbformat.from_dict({})
    return notebook


def shorten_paths(notebook: nbformat.NotebookNode, names: dict[str, str]) -> None:
    """Replace this machine's folders in printed text."""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        for holder, key in (
            (output, "text"),
            (output.get("data", {}), "text/plain"),
            (output.get("data", {}), "text/html"),
        ):
            for path, short in names.items() if key in holder else ():
                holder[key] = holder[key].replace(path, short)


if __name__ == "__main__":
    main()
