"""The bench: the lab's parts put together, and the real agent between them.

It may import the whole lab. ``Bench`` and ``BenchOptions`` leave it; they are loaded when they are asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bench_options import BenchOptions
    from .lab_bench import Bench
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import bench_options, lab_bench

        return getattr(bench_options if name == "BenchOptions" else lab_bench, name)


__all__ = ["Bench", "BenchOptions"]
