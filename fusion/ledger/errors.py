"""What can go wrong with the books.

Exception
└── ValueError
    ├── LedgerError
    │   ├── PriceRejected       a price table that cannot be read, or names what is not billed
    │   ├── QuantityRejected    a negative or unknown quantity
    │   ├── CurrencyMismatch    amounts of two currencies that would have to be added
    │   ├── RequestUnknown      no such request in the ledger
    │   ├── AlreadyReserved     the request is in the ledger already
    │   ├── LedgerUnavailable   it cannot be written just now: locked, full, away
    │   └── BudgetExceeded      the key's budget does not allow the request
    └── DatabaseUnusable        (fusion.database) no ledger there, or one of a newer version
"""


class LedgerError(ValueError):
    """Base of everything that is wrong in what the ledger is told."""


class PriceRejected(LedgerError):
    """A price table that cannot be read, or has a price for what is not billed."""


class QuantityRejected(LedgerError):
    """A quantity that is negative, too large, or of an unknown item."""


class CurrencyMismatch(LedgerError):
    """Amounts of two currencies that would have to be compared or added."""


class RequestUnknown(LedgerError):
    """The ledger has no such request, or no such line of it."""


class AlreadyReserved(LedgerError):
    """A request of this id is in the ledger already."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be written just now; says why and what to do."""


class BudgetExceeded(LedgerError):
    """A request that would take its key over the budget; nothing was drawn, nothing is charged."""
