"""How processes end, and keep out of each other's way: SIGTERM, workers without a parent, locks that die with them."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpt4image.errors import Gpt4ImageError

WATCH_INTERVAL_S = 0.5
PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that a process gets when the thread that started it has ended."""


def terminate_as_interrupt() -> None:
    """Makes SIGTERM what Ctrl-C is, in this process; only the main thread may set this.

    Processes that a library forks (pools of `multiprocessing`) are ended by SIGTERM as ever: they do not inherit it.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_terminate_as_ever)


def _terminate_as_ever() -> None:
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def kill_with_parent(is_on: bool = True) -> None:
    """Lets Linux kill this process when its parent ends, whatever it is at; for processes that have started no others.

    What `end_with` does has to wait while a library is being loaded.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL if is_on else 0)


def end_with(parent: int) -> None:
    """Ends this worker, and the processes it has started, soon after its parent is gone; the parent handles Ctrl-C.

    Args:
        parent: its process number, as the parent itself sees it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: _end())
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def begin_worker(threads: int, parent: int) -> None:
    """A process of a pool: its share of the cores, no progress of its own, and no life without its parent.

    It stands here, where little is imported, so that no time passes before the process is bound to its parent.
    """
    kill_with_parent()
    end_with(parent)
    import torch
    from threadpoolctl import threadpool_limits

    from gpt4image import progress

    # From now on it may have workers of its own, which it ends.
    kill_with_parent(False)
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")
    progress.silence()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_INTERVAL_S)
    _end()


def _end() -> None:
    end_children()
    os._exit(1)


def end_children() -> None:
    """Ends the workers of this process, which end theirs."""
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    deadline = time.monotonic() + WATCH_INTERVAL_S
    for child in children:
        child.join(max(deadline - time.monotonic(), 0))
        child.kill()


@contextmanager
def locked(path: Path, what: str, error: type[Gpt4ImageError]) -> Iterator[None]:
    """Keeps other processes out while the block runs.

    The lock goes with the process, however that ends; where the system has no such locks, nothing is checked.

    Args:
        path: the lock's file; it stays, and names the process that held it last.
        what: what is locked, for the message: `WORK is being described`.
        error: what is raised if another process holds the lock.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read(20).strip() or "unknown"
            raise error(f"{what} by another process; wait for it, or stop it first (process {holder})") from None
        except OSError:
            yield  # A network drive without locks.
            return
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
