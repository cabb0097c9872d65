"""DVC ↔ W&B: a DVC project's stages as W&B runs, its outputs as artifacts, tied together by content.

Works for any DVC project. `tracked_run` is what stage scripts use; `python -m lineage --help` shows the rest.
"""

from lineage.errors import LineageError, first_line
from lineage.run import TrackedRun, tracked_run

__all__ = ["LineageError", "TrackedRun", "first_line", "tracked_run"]
