"""What can be wrong with a question to the ledger.

Exception
└── ValueError
    └── CostsError
        ├── LedgerMissing      there is no ledger to read
        ├── QuestionRejected   a date, group or language that is not known
        ├── ServicesRejected   a file of other services that cannot be read
        └── PlanRejected       traffic that cannot be planned for
"""


class CostsError(ValueError):
    """Base of everything that is wrong in what a report is asked."""


class LedgerMissing(CostsError):
    """There is no ledger there, or nothing in it to answer with; none is made for a question."""


class QuestionRejected(CostsError):
    """A date, a group or a language that is not known."""


class ServicesRejected(CostsError):
    """A file of other services that cannot be read."""


class PlanRejected(CostsError):
    """Traffic that cannot be planned for, or figures that are missing."""
