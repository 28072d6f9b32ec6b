"""A customs back-end of our own: what brokers, demonstrations and tests send to where no real one is.

`customs` is the port; it lets `inspection` look at what came, `courses` say what will be answered, `notices`
word it and `ledger` keep it. Its full work (triage, handling, transit) is that of REFORM.md.
"""
