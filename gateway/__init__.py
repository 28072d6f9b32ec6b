"""The core of the gateway: what a message is, what is asked of it, and what becomes of it.

Read in the order in which data flow:

1. nouns: `message`, `states`, `faults`, `parties`, `policy`, `ports`
2. the way of a message: `pipeline`, then `stages/` one by one
3. what the stages stand on: `xml`, `archive`, `pdf`, `families`, `schematron`, `signatures`
4. doing: `node` (claim, judge, commit), `outbox` (dispatch), `answers` (what customs says), `operations`

Nothing here opens a socket, a file of the host or a database: that is `adapters/`, which is handed in
through the ports. `tests/test_architecture.py` holds this.
"""
