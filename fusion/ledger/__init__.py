"""The books: what every request used and cost, to the last unit, and proof that nobody changed it.

`items` says what is counted, `prices` and `money` what it costs, `schema` and `chain` how a line
lies in the database, `book` writes lines, `budgets` stop requests, `ledger` is a book with a
database of its own, `late` what it does when it has none for a while, `verify` the proof.
"""
