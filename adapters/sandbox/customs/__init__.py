"""A customs back-end of our own: what brokers, demonstrations and tests send to where no real one is.

`customs` is the port. What a declaration gets is said by `courses` where its reference forces one, else by
`handling` (risk, ledgers), `progress` and `transit`; `proceedings` carries it out in the `ledger`, worded by
`answers` and `notices`. `reviews` and `decisions` are what a person decides, `records` the small ledgers.
Submissions are taken in as at every reference back-end (`adapters.sandbox.simulated_backend`).
"""
