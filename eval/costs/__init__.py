"""What requests cost, told from the ledger: sums, savings, stages, other prices, a plan.

opened ledger → question → tallies → report → terminal, CSV, JSON, FOCUS, page.
"""
