"""The core of the gateway: what a message is, what is asked of it, and what becomes of it.

The folders are the way of a message: `receive`, `judge` (begin with `judge/pipeline.py`), `deliver`,
`respond`, `notify`, `operate`, over `model`, `formats`, `families` and `rules`. `docs/architecture.md` names
the file to open at each step.

Nothing here opens a socket, a file of the host or a database: that is `adapters/`, which is handed in
through the ports. `tests/test_architecture.py` holds this.
"""
