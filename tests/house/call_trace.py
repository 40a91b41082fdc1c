"""Which file of shared/ calls into which, while a piece of code runs: recorded from Python's own function starts."""

import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType

ROOT = Path(__file__).parents[2]
_TOOL = sys.monitoring.PROFILER_ID


@dataclass(frozen=True, slots=True)
class Entry:
    """One call into a file of shared/ from outside that file.

    Args:
        path: The file, relative to shared/.
        function: Qualified name of what was called there.
        below: Files of shared/ whose calls are open, outermost first, each once per visit.
        thread: Identifier of the thread that made the call.
    """

    path: str
    function: str
    below: tuple[str, ...]
    thread: int

    @property
    def reenters(self) -> bool:
        """Whether the call goes back up into a file that waits for it further down the stack."""
        return self.path in self.below


@contextmanager
def recorded_entries(root: Path = ROOT / "shared") -> Iterator[list[Entry]]:
    """Record every call into a file below ``root``; bodies of modules and classes are not calls."""
    entries: list[Entry] = []
    prefix = f"{root}/"

    def name_of(code: CodeType) -> str:
        return code.co_filename.removeprefix(prefix) if code.co_filename.startswith(prefix) else ""

    def started(code: CodeType, _offset: int) -> object:
        path = name_of(code)
        if not path or not code.co_flags & inspect.CO_NEWLOCALS:
            return sys.monitoring.DISABLE
        frame: FrameType | None = sys._getframe(1).f_back
        below: list[str] = []
        while frame is not None:
            caller = name_of(frame.f_code)
            if caller and frame.f_code.co_flags & inspect.CO_NEWLOCALS and (not below or below[-1] != caller):
                below.append(caller)
            frame = frame.f_back
        if not below or below[0] != path:
            entries.append(Entry(path, code.co_qualname, tuple(reversed(below)), threading.get_ident()))
        return None

    sys.monitoring.use_tool_id(_TOOL, "call-trace")
    try:
        sys.monitoring.register_callback(_TOOL, sys.monitoring.events.PY_START, started)
        sys.monitoring.set_events(_TOOL, sys.monitoring.events.PY_START)
        yield entries
    finally:
        sys.monitoring.set_events(_TOOL, 0)
        sys.monitoring.register_callback(_TOOL, sys.monitoring.events.PY_START, None)
        sys.monitoring.free_tool_id(_TOOL)
        sys.monitoring.restart_events()
