"""What became of a picture of a run: tagged, or failed. Without torch: whoever reads results, too."""

from dataclasses import dataclass

from .detections import Detections, Tag
from .versions import FileVersion


@dataclass(frozen=True, eq=False)
class Tagged:
    """A picture that was run: its path, the version of the file that was read, and what was found in it.

    `damaged`: the file lacks its end, or a few of its last rows. `raw`: what the network said, from which `detections`
    were decided; None where a result was read, or decided anew.
    """

    image: str
    version: FileVersion | None
    detections: Detections
    damaged: bool = False
    raw: Detections | None = None

    @property
    def width(self) -> int:
        """Returns the upright photo's, in pixels."""
        return self.detections.width

    @property
    def height(self) -> int:
        """Returns the upright photo's, in pixels."""
        return self.detections.height

    @property
    def objects(self) -> list[Tag]:
        """Returns one row an object, best first."""
        return self.detections.tags

    @property
    def invalid(self) -> int:
        """Returns how much the network gave that cannot be, and was dropped."""
        return self.detections.invalid


@dataclass(frozen=True)
class Failed:
    """A picture that could not be tagged: at which `stage` (read, decode, forward, write), and the reason."""

    image: str
    version: FileVersion | None
    stage: str
    reason: str
    ended_process: bool = False  # reading it takes the process with it: the next run reads it apart first
