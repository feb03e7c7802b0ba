"""The plan of what a batch computes once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from models.shared_runs import LEAST_POSITIONS, SharedRun, shared_runs

ROWS = st.lists(
    st.lists(st.integers(0, 1), min_size=14, max_size=14).map(tuple), min_size=1, max_size=6
)


@settings(deadline=None, derandomize=True)
@given(ROWS, st.data())
def test_runs_continue_what_is_there_are_alike_and_stay_within_the_limits(
    rows: list[tuple[int, ...]], data: st.DataObject
) -> None:
    rows = list(dict.fromkeys(rows))
    limits = [data.draw(st.integers(0, 13)) for _ in rows]
    # as the pool gives it: rows that begin alike have as much of it ready
    known = data.draw(st.integers(0, 13))
    begin = rows[0][:known]
    ready = [
        min(limit, next((n for n in range(len(begin)) if row[n] != begin[n]), len(begin)))
        for row, limit in zip(rows, limits, strict=True)
    ]
    reached = list(ready)
    for run in shared_runs(rows, ready, limits):
        assert run.stop - run.start >= LEAST_POSITIONS
        assert len(run.members) >= 2
        assert len({rows[member][: run.stop] for member in run.members}) == 1
        for member in run.members:
            assert reached[member] == run.start
            assert run.stop <= limits[member]
            reached[member] = run.stop
    for one, row in enumerate(rows):
        for other in range(one):
            if ready[one] != ready[other] or row[: ready[one]] != rows[other][: ready[one]]:
                continue
            alike = next(n for n in range(14) if row[n] != rows[other][n])
            alike = min(alike, limits[one], limits[other])
            assert alike - min(reached[one], reached[other]) < LEAST_POSITIONS, "computed twice"


def test_a_beginning_and_its_branches_are_each_computed_once() -> None:
    head, left, right = (1,) * 6, (2,) * 5, (3,) * 5
    rows = [
        (*head, *left, 7), (*head, *left, 8), (*head, *right, 7), (*head, *right, 8), (9,) * 12,
    ]  # fmt: skip
    assert list(shared_runs(rows, [0] * 5, [12] * 5)) == [
        SharedRun(0, 6, (0, 1, 2, 3)),
        SharedRun(6, 11, (0, 1)),
        SharedRun(6, 11, (2, 3)),
    ]


def test_a_short_common_piece_is_counted_to_the_next_branch() -> None:
    rows = [(1, 2, 5, 5, 5, 5, 7), (1, 2, 5, 5, 5, 5, 8), (1, 2, 6, 6, 6, 6, 6)]
    assert list(shared_runs(rows, [0] * 3, [7] * 3)) == [SharedRun(0, 6, (0, 1))]


def test_a_prompt_alone_and_one_that_is_ready_share_nothing() -> None:
    assert list(shared_runs([(1,) * 9], [0], [9])) == []
    assert list(shared_runs([], [], [])) == []
    assert list(shared_runs([(1,) * 8 + (2,), (1,) * 8 + (3,)], [8, 8], [9, 9])) == []


def test_a_row_whose_own_part_begins_early_leaves_the_others_to_go_on() -> None:
    rows = [(1,) * 10 + (2,), (1,) * 10 + (3,), (1,) * 10 + (4,)]
    assert list(shared_runs(rows, [0] * 3, [4, 11, 11])) == [
        SharedRun(0, 4, (0, 1, 2)),
        SharedRun(4, 10, (1, 2)),
    ]
