"""Images that a text model cannot see."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from composer.pool.filters.batch import Batch
from composer.pool.filters.rules import Reasons, rule

# <img …>, ![…](…) and data:image/…;base64,…
IMAGE = r"(?is)<img\b[^>]*>|!\[[^\]]*\]\([^)]*\)|data:image/[a-z0-9.+-]+(?:;[a-z0-9=-]+)*,[a-z0-9+/=%_-]*"


@rule("images")
def images(batch: Batch) -> Reasons:
    """No <img>, Markdown image or data URI of an image in any turn."""
    return {"has an image": batch.by_row(np.asarray(pc.match_substring_regex(batch.contents, IMAGE))) > 0}


def without_images(texts: pa.StringArray) -> pa.StringArray:
    """(n,) texts from which images were taken."""
    return pc.replace_substring_regex(texts, IMAGE, "")
