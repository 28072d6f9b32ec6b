"""A simulated brokers' association (docs/association.md): it imports agreements, numbers them and sends
notices of them.

`association` implements the port, `courses` lists what follows a request, `answers` writes the answer and
`register` stores the agreements. `simulated_backend` receives the submissions.
"""
