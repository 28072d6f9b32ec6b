"""A customs back-end of our own: what brokers, demonstrations and tests send to where no real one is.

`customs` is the port; it lets `courses` say what will be answered, `answers` and `notices` word it and
`ledger` keep it. `reviews` decides what waits for a person. Submissions are taken in as at every reference
back-end (`adapters.backends.desk`). Its full work (triage, handling, transit) is that of REFORM.md.
"""
