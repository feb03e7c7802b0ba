"""The report of an A/B run: one HTML file that opens anywhere, offline."""

from eval.ab.report.page import REPORT_FILE, render_report, write_report

__all__ = ["REPORT_FILE", "render_report", "write_report"]
