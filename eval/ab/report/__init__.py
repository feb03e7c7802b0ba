"""The report of an A/B run: one HTML file that opens anywhere, offline."""

from eval.ab.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]
