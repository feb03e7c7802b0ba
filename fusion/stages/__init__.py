"""The stages of a fusion, one function each: what goes in and what comes out is in their types."""

__all__: list[str] = []
