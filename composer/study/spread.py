"""How trials are spread over GPUs and processes: workers take GPUs in turn, and share them where there are too few."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from composer.config import LauncherConfig

_PYTHON = (sys.executable, "-m")


def gpus_here() -> tuple[str, ...]:
    """The GPUs that this process may use, by what CUDA_VISIBLE_DEVICES calls them; torch is not asked."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return tuple(one.strip() for one in told.split(",") if one.strip() not in ("", "-1"))
    found = sorted(int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit())
    return tuple(map(str, range(len(found))))


@dataclass(frozen=True)
class Spread:
    """Processes and GPUs of each trial.

    Attributes:
        processes: Of a trial.
        launch: The command that starts them, in place of ours; on several machines, that of each.
        gpus: Those to share out.
    """

    processes: int = 1
    launch: str = ""
    gpus: tuple[str, ...] = field(default_factory=gpus_here)

    @classmethod
    def of(cls, launcher: LauncherConfig) -> Spread:
        """What a recipe's launcher says."""
        return cls(launcher.processes, launcher.launch)

    @property
    def alone(self) -> bool:
        """Whether a trial is one process."""
        return self.processes == 1 and not self.launch

    def command(self, command: Sequence[str]) -> list[str]:
        """The command that runs a trial, `python -m MODULE`, as so many processes."""
        if self.alone or tuple(command[:-1]) != _PYTHON:
            return list(command)
        if self.launch:
            return [*shlex.split(self.launch), "-m", command[-1]]
        count, module = str(self.processes), ["-m", command[-1]]
        if self.gpus:
            told = ["--multi_gpu", "--num_processes", count, "--num_machines", "1", "--mixed_precision", "no"]
            # Trials side by side must not meet at one port: 0 is a free one.
            return [*_PYTHON, "accelerate.commands.launch", *told, "--main_process_port", "0", *module]
        # accelerate starts a single process where there is no GPU, whatever it is told.
        meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
        return [*_PYTHON, "torch.distributed.run", *meeting, f"--nproc-per-node={count}", *module]

    def environment(self, slot: int) -> dict[str, str]:
        """What the worker number `slot` sees of the GPUs."""
        if not self.gpus or self.launch:
            return {}
        first = slot * self.processes
        mine = [self.gpus[(first + place) % len(self.gpus)] for place in range(min(self.processes, len(self.gpus)))]
        return {"CUDA_VISIBLE_DEVICES": ",".join(dict.fromkeys(mine))}
