"""Which pictures of a folder INT8 is made from, and which it is judged by."""

from collections.abc import Sequence
from dataclasses import dataclass

CALIBRATED, JUDGED = 100, 300  # pictures at most
SHARE_CALIBRATED = 4  # of few pictures, one in so many


@dataclass(frozen=True)
class Sample:
    """The pictures that INT8 is made from, and others that it is judged by: both spread over the folder.

    >>> Sample.of([f"{number}.jpg" for number in range(1000)]).sizes
    (100, 300)
    """

    calibration: Sequence[str]
    judges: Sequence[str]

    @classmethod
    def of(cls, names: Sequence[str]) -> "Sample":
        """Returns what is taken of these pictures, all of them where they are few."""
        spread = _spread(names, CALIBRATED + JUDGED)
        calibration = spread[::SHARE_CALIBRATED]
        judges = [name for number, name in enumerate(spread) if number % SHARE_CALIBRATED]
        return cls(calibration, judges)

    @property
    def sizes(self) -> tuple[int, int]:
        """Returns how many pictures calibrate, and how many judge."""
        return len(self.calibration), len(self.judges)


def _spread(names: Sequence[str], count: int) -> list[str]:
    count = min(count, len(names))
    return [names[number * len(names) // count] for number in range(count)]
