"""The report as one HTML file that opens anywhere, offline, and reads well on paper."""

from eval.costs.page.render import render_costs

__all__ = ["render_costs"]
