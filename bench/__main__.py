"""`python -m bench` runs all benchmarks, `python -m bench NAME ...` the named ones."""

import sys
from importlib import import_module

from bench.report import machine

FIGURES = (
    *("judging", "limit", "amqp", "throughput", "latency", "idle", "filled", "memory", "listing", "polled"),
    *("folders", "peers", "plots"),
)


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in FIGURES]
    if unknown:
        print(f"no figure is called {', '.join(unknown)}; there are: {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    print(f"python -m bench {' '.join(wanted)}".rstrip())
    print(machine(), end="\n\n", flush=True)
    for name in wanted or FIGURES:
        import_module(f"bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
