import os

import pytest
from hypothesis import settings

# How long one example takes says nothing on a shared machine.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# One thread a process, as the README advises; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Pools that tests generate are kept for the session, away from the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["COMPOSER_CACHE"] = str(folder)
    yield folder
    del os.environ["COMPOSER_CACHE"]
