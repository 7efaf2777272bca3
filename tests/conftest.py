"""Property tests are repeatable: the same code gives the same examples, so a red run is never bad luck.

``HYPOTHESIS_PROFILE=wander`` looks for new examples (``make fuzz``).
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("wander", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
