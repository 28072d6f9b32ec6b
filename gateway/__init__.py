"""The core of the gateway: what a message is, what is asked of it, and what becomes of it.

Read in the order in which data flow:

1. nouns: `message`, `states`, `faults` with `fault_catalogue`, `parties`, `agreements`, `policy` with
   `reform`, `decision`, `ports`, `mailbox`
2. the way of a message: `pipeline`, then `stages/` one by one
3. what the stages stand on: `xml` over `encoding`, `reading`, `wrapper` and `characters`, `archive` and
   `zip_records`, `file_names`, `pdf`, `families` with `facts`, `schema` and `schematron`, `signatures` with
   `signature_form`, `canonical` and `certificates`, `signing`, `submission`
4. what the reform asks of a declaration: `eligibility`, `documents`, `triage`, `agency`; and of those whom it
   concerns: `notices`, `concerned` with `declaration_notices`, `deadlines` with `document_request`, `dossier`
5. doing: `node` (claim, judge, commit), `outbox` (dispatch), `answers` and `customs_answers` (what customs
   says), `reminders` (what is owed), `operations` (what operators do)

Nothing here opens a socket, a file of the host or a database: that is `adapters/`, which is handed in
through the ports. `tests/test_architecture.py` holds this.
"""
