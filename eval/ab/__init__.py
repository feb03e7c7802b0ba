"""A/B runs: the same people, wishes and seeds in every arm, and what can be believed of it.

config, suite → cases → runner → journal → measures → statistics → verdicts → result → report.
"""
