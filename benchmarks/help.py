"""The claim: `limner --help` answers in half a second. Median of ten starts."""

import statistics

from _record import LIMNER, record, time_command

STARTS = 10


def main() -> None:
    time_command(LIMNER, "--help")  # once for the file cache and the bytecode
    seconds = [time_command(LIMNER, "--help")[0] for _ in range(STARTS)]
    record("help", {"median_seconds": statistics.median(seconds), "slowest_seconds": max(seconds)})


if __name__ == "__main__":
    main()
