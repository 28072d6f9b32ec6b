"""A brokers' association of our own (REFORM 6): imports agreements, numbers them, tells their course.

`association` is the port; `courses` says what follows a request, `answers` words the answer and `register`
keeps the agreements. Submissions are taken in as at every simulated back-end (`simulated_backend`).
"""
