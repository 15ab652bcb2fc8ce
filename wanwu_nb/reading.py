"""Rounds of pictures, read ahead of the network: by CPU threads, or opened by them and decoded by the GPU (nvJPEG)."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path

from .decoding import DEFAULT_LIMITS, Limits
from .fitting import InputSpec
from .images import Picture, read
from .nvjpeg import Jpeg, decode_on_gpu, open_jpeg
from .threads import ReadingThreads

CPU_THREADS, NVJPEG = "CPU threads", "nvJPEG"

Names = Sequence[str]
Opened = Picture | Jpeg


class PictureReader:
    """Reads the pictures of one folder as inputs of one network, with one of the two decoders.

    >>> reader = PictureReader("photos", model.checkpoint.spec, "cpu", CPU_THREADS)
    >>> pictures = reader.read(["a.jpg", "b.jpg"])
    """

    def __init__(self, folder: str | Path, spec: InputSpec, device: str, decoder: str, limits: Limits = DEFAULT_LIMITS):
        self.folder = Path(folder)
        self.spec = spec
        self.device = device
        self.decoder = decoder
        self.limits = limits

    def read(self, names: Names) -> list[Picture]:
        """Returns the pictures `names`, read by the calling thread."""
        return self.finish([self.open(name) for name in names])

    def start(self, pool: Executor, names: Names) -> list[Future[Opened]]:
        """Have a round opened, a picture a thread. Returns the futures, in order: what they give is for `finish`."""
        return [pool.submit(self.open, name) for name in names]

    def open(self, name: str) -> Opened:
        """Returns a picture; one that the GPU is to decode is not decoded yet."""
        if self.decoder == NVJPEG:
            jpeg = open_jpeg(self.folder, name, self.limits)
            if jpeg is not None:
                return jpeg
        return read(self.folder, self.spec, name, self.limits)

    def finish(self, opened: Sequence[Opened]) -> list[Picture]:
        """Returns a round's pictures, in order: the GPU decodes what it is to decode, all in one call."""
        pictures = [picture for picture in opened if isinstance(picture, Picture)]
        if len(pictures) == len(opened):
            return pictures
        return decode_on_gpu(self.folder, self.spec, self.device, opened, self.limits)


def _ignore(names: Names) -> None:
    pass


def read_rounds(
    reader: PictureReader,
    pool: ReadingThreads,
    names: Names,
    round_size: int,
    rounds_ahead: int,
    note: Callable[[Names], None] = _ignore,
) -> Iterator[list[Picture]]:
    """Yields the pictures in order, `round_size` at a time, while `pool` reads the next `rounds_ahead` rounds.

    With 0 ahead nothing is read meanwhile: on a CPU, decoding and the network take turns. Of the rounds ahead, the GPU
    decodes the first, while files of the others are opened. `note` is told the names in flight whenever they change,
    before they are read. A picture that takes too long to read comes as failed.

    >>> for pictures in read_rounds(reader, pool, names, round_size=16, rounds_ahead=0):
    ...     ...
    """
    waiting: deque[_Round] = deque()
    first = 0  # name in flight
    for start in range(0, len(names), round_size):
        end = start + round_size
        note(names[first:end])
        if waiting and reader.decoder == NVJPEG:
            waiting[-1].finish_ahead()
        waiting.append(_Round(reader, pool, names[start:end]))
        if len(waiting) > rounds_ahead:
            pictures = waiting.popleft().pictures()
            first += len(pictures)
            yield pictures
    for last in waiting:
        yield last.pictures()
    note([])


class _Round:
    """Pictures that are being read: opened, a picture a thread, and then finished together."""

    def __init__(self, reader: PictureReader, pool: ReadingThreads, names: Names):
        self._reader = reader
        self._pool = pool
        self._names = names
        self._opening = reader.start(pool, names)
        self._finishing: Future[list[Picture]] | None = None

    def finish_ahead(self) -> None:
        """Have a thread finish the round, while the network runs another."""
        self._finishing = self._pool.submit(self._reader.finish, self._opened())

    def pictures(self) -> list[Picture]:
        """Waits until they are read; returns them in order."""
        if self._finishing is None:
            return self._reader.finish(self._opened())
        try:
            pictures: list[Picture] = self._pool.result(self._finishing)
        except TimeoutError:
            return [self._too_late(name) for name in self._names]
        return pictures

    def _opened(self) -> list[Opened]:
        opened: list[Opened] = []
        for name, future in zip(self._names, self._opening, strict=True):
            try:
                opened.append(self._pool.result(future))
            except TimeoutError:
                opened.append(self._too_late(name))
        return opened

    def _too_late(self, name: str) -> Picture:
        return Picture(name, None, stage="decode", reason=f"reading it takes over {self._pool.seconds:g} s")
