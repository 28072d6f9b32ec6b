"""A simulated customs back-end, for brokers, demonstrations and tests without access to a real one.

`customs` implements the port. The treatment of a declaration is decided by `courses` where its reference
forces one, else by `handling` (risk, ledgers), `progress` and `transit`. `proceedings` records it in the
`ledger`; `answers` and `notices` write the documents. `reviews` and `decisions` are about decisions by hand,
`records` about the ledgers of other systems. `adapters.sandbox.simulated_backend` receives the submissions.
"""
