"""A real kernel for the tests, as JupyterLab starts one: what a person reads is what it sends."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty

from jupyter_client.manager import KernelManager

PATIENCE = 120  # seconds, for a machine that has much else to do


@dataclass
class Shown:
    """What one cell showed: its text, and an error's name, value and lines."""

    text: str = ""
    error: str = ""
    value: str = ""
    lines: list[str] = field(default_factory=list)


class Kernel:
    """Runs cells, one after another."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder), env=environment)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def run(self, source: str, interrupt_at: str = "", watched: bool = False) -> Shown:
        """Run a cell to its end; interrupted once it has printed `interrupt_at`; `watched` as in JupyterLab."""
        request = self.client.execute(source, allow_stdin=watched)
        shown = Shown()
        while True:
            message = self._next()
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                shown.text += content["text"]
                if interrupt_at and interrupt_at in shown.text:
                    self.manager.interrupt_kernel()
                    interrupt_at = ""
            elif message["msg_type"] == "error":
                shown.error, shown.value, shown.lines = content["ename"], content["evalue"], content["traceback"]
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return shown

    def _next(self) -> dict:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                return self.client.get_iopub_msg(timeout=1)
            except Empty:
                assert self.manager.is_alive(), "the kernel has died"
        raise TimeoutError(f"the kernel has shown nothing for {PATIENCE} s")

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
