"""Reads back the config that a run was made with."""

from __future__ import annotations

from pathlib import Path

from composer.config import Config
from composer.errors import RequestError


def read_config(run: Path) -> Config:
    """Reads `RUN/config.yaml`.

    Raises:
        RequestError: There is none, or it is not the config of a run.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    path = run / "config.yaml"
    if not path.is_file():
        raise RequestError(f"{run} holds no config.yaml, so nothing was run there: run it with `composer run` first")
    try:
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.load(path)))
    except OmegaConfBaseException as error:
        raise RequestError(f"{path} is not the config of a run: {str(error).splitlines()[0]}") from error
    assert isinstance(config, Config)
    return config
