"""Pieces of the page as HTML: plain functions of answers and words. Every text is escaped."""
