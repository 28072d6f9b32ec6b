"""The core of the gateway: what a message is, what is asked of it, and what becomes of it.

Read in the order in which data flow:

1. nouns: `message`, `states`, `faults`, `parties`, `agreements`, `policy` with `reform`, `ports`
2. the way of a message: `pipeline`, then `stages/` one by one
3. what the stages stand on: `xml`, `archive` and `zip_records`, `pdf`, `families` with `schema` and
   `schematron`, `signatures` with `signature_form`, `canonical` and `certificates`, `signing`, `submission`
4. what the reform asks of a declaration: `eligibility`, `documents`, `triage`
5. doing: `node` (claim, judge, commit), `outbox` (dispatch), `answers` and `customs_answers` (what customs
   says), `operations` (what operators do)

Nothing here opens a socket, a file of the host or a database: that is `adapters/`, which is handed in
through the ports. `tests/test_architecture.py` holds this.
"""
