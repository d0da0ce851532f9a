"""A process that imports what trials need once, then forks one child per trial.

Importing torch, transformers and lm-eval takes seconds of CPU, a fork takes milliseconds. The nursery never computes:
no thread pool and no random state exists when it forks, so a child is as good as a fresh process.

`Nursery` is the study's side, `python -m composer.study.nursery MODULE PRELOAD…` the other. Each request is one packet
on a socket: the trial's folder, with the descriptors of its stdin, stdout, stderr, lock and status pipe. The status
pipe then says the child's pid and, later, its exit code; if it ends before that, the nursery died.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PACKET = 1 << 16
DESCRIPTORS = 5


class NurseryLost(Exception):
    """The nursery is not there, or cannot serve on this machine."""


@dataclass
class Fork:
    """A trial's process that the nursery forked, with the part of Popen's interface that the runner uses."""

    pid: int
    stdin: IO[bytes]
    stdout: IO[bytes]
    status: IO[bytes]
    returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while the process runs."""
        if self.returncode is None and select.select([self.status], [], [], 0)[0]:
            line = self.status.readline()
            if line:
                self.returncode = int(line)
            else:  # the nursery was killed: nobody else would end the child or say how it ended
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                self.returncode = -signal.SIGKILL
            self.status.close()
        return self.returncode


class Nursery:
    """The study's side of a nursery process."""

    def __init__(self, module: str, preload: Sequence[str], env: Mapping[str, str]) -> None:
        """Starts it; `preload` names modules, or module:attribute, to import before the first fork."""
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # What it has to say at import is said again, in the trial's log, by the plain process that replaces it.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "composer.study.nursery", module, *preload],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=env,
                start_new_session=True,
            )

    def fork(self, folder: Path, log: int, lock: int) -> Fork:
        """Starts `module` on `folder`, as `python -m MODULE FOLDER` would, in a process group of its own.

        Raises:
            NurseryLost: The nursery died, could not import, or found an accelerator, which must not be forked.
        """
        stdin_read, stdin_write = os.pipe()
        stdout_read, stdout_write = os.pipe()
        status_read, status_write = os.pipe()
        stdin, stdout = os.fdopen(stdin_write, "wb", 0), os.fdopen(stdout_read, "rb", 0)
        status = os.fdopen(status_read, "rb", 0)
        try:
            request = os.fsencode(folder)
            socket.send_fds(self.control, [request], [stdin_read, stdout_write, log, lock, status_write])
        except OSError as error:
            raise NurseryLost from error
        finally:
            for descriptor in (stdin_read, stdout_write, status_write):
                os.close(descriptor)
        line = status.readline()
        if not line:
            raise NurseryLost
        return Fork(int(line), stdin, stdout, status)

    def close(self) -> None:
        """Ends the nursery. Children that still run are left to their stdin."""
        self.control.close()
        self.process.kill()
        self.process.wait()


def serve(preload: Sequence[str]) -> str:
    """Serves requests until the study is gone. Returns in the children only: the folder to work in."""
    for name in preload:
        module, _, attribute = name.partition(":")
        imported = importlib.import_module(module)
        if attribute:
            getattr(imported, attribute)  # transformers imports its parts at first use
    torch = sys.modules.get("torch")
    if torch is not None and torch.accelerator.is_available():
        sys.exit("a process that may have touched an accelerator cannot be forked")
    gc.freeze()  # the collector would otherwise touch, and so copy, every page in every child
    control = socket.socket(fileno=0)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    children: dict[int, int] = {}
    while True:
        ready = select.select([control.fileno(), wake_read], [], [])[0]
        if wake_read in ready:
            os.read(wake_read, PACKET)
            _report_ended(children)
        if control.fileno() in ready:
            folder, received, _, _ = socket.recv_fds(control, PACKET, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            if not folder:
                sys.exit()  # the study is gone
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.detach()
                for target in range(3):
                    os.dup2(received[target], target)
                for descriptor in (*received[:3], received[4], wake_read, wake_write, *children.values()):
                    os.close(descriptor)
                return os.fsdecode(folder)
            os.setpgid(pid, pid)
            children[pid] = received[4]
            _tell(received[4], pid)
            for descriptor in received[:4]:
                os.close(descriptor)


def _report_ended(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if pid in children:
            descriptor = children.pop(pid)
            _tell(descriptor, os.waitstatus_to_exitcode(status))
            os.close(descriptor)


def _tell(descriptor: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the study is gone; the control socket says so next
        os.write(descriptor, f"{number}\n".encode())


if __name__ == "__main__":
    trial_module = sys.argv[1]
    sys.argv = [trial_module, serve(sys.argv[2:])]
    runpy.run_module(trial_module, run_name="__main__", alter_sys=True)
