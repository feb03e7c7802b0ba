"""What goes first."""

from cache.keys import digest
from cache.prefix_records import Scope
from cache.radix import Held, Node, RadixTree
from cache.recency import LeastUseful, Recency

SCOPE = Scope((), digest("model"))
POLICY = LeastUseful()


class Opaque:
    size_bytes = 0


def held(
    node: Node, size_bytes: int = 100, tick: int = 0, slab: bool = False, seconds: float = 0.0
) -> Held:
    new = Held(Opaque(), SCOPE, node, 10, size_bytes, tick, seconds, is_slab=slab)  # type: ignore[arg-type]
    if slab:
        node.slab = new
    else:
        node.whole = new
    return new


def leaves(count: int) -> list[Node]:
    tree = RadixTree()
    return [tree.grow(tree.root, (number,)) for number in range(count)]


def order(queue: Recency, tick: int) -> list[Held]:
    """All that goes, as it goes."""
    gone: list[Held] = []
    while (victim := next(queue.victims(POLICY, tick), None)) is not None:
        queue.remove(victim)
        if victim.is_slab:
            victim.node.slab = None
        gone.append(victim)
    return gone


def filled(*everything: Held) -> Recency:
    queue = Recency()
    for each in everything:
        queue.add(each)
    return queue


def test_whole_prompts_go_least_recently_used_first() -> None:
    first, second, third = (held(node) for node in leaves(3))
    queue = filled(first, second, third)
    queue.touch(first)
    assert order(queue, 1) == [second, third, first]
    assert (queue.size_bytes, len(queue)) == (0, 0)


def test_a_slab_that_another_continues_goes_after_it_however_old() -> None:
    tree = RadixTree()
    above = tree.grow(tree.root, (1, 2))
    deep = tree.grow(above, (3,))
    old, new = held(above, tick=1, slab=True), held(deep, tick=9, slab=True)
    assert order(filled(old, new), 10) == [new, old]


def test_what_is_said_to_be_going_already_is_passed_over_and_frees_what_it_continues() -> None:
    tree = RadixTree()
    above = tree.grow(tree.root, (1, 2))
    deep = tree.grow(above, (3,))
    old, new = held(above, tick=1, slab=True), held(deep, tick=9, slab=True)
    queue = filled(old, new)
    assert next(queue.victims(POLICY, 10, {new}), None) is old
    assert next(queue.victims(POLICY, 10, {new, old}), None) is None
    assert len(queue) == 2


def test_a_slab_must_be_used_as_much_more_often_as_it_is_dearer() -> None:
    one, other = leaves(2)
    whole = held(one, size_bytes=100, tick=1)
    slab = held(other, size_bytes=2500, tick=98, slab=True)
    assert order(filled(whole, slab), 100) == [whole, slab]  # 100 lookups ago against 3 × 25
    assert order(filled(whole, slab), 200) == [slab, whole]  # 200 against 103 × 25


def test_what_is_pinned_never_goes() -> None:
    first, second = (held(node) for node in leaves(2))
    queue = filled(first, second)
    for _ in range(2):
        queue.pin(first, 1)
        first.pins += 1
    assert queue.pinned_bytes == 100
    assert next(queue.victims(POLICY, 5), None) is second
    queue.remove(second)
    assert next(queue.victims(POLICY, 5), None) is None
    for left in (100, 0):
        queue.pin(first, -1)
        first.pins -= 1
        assert queue.pinned_bytes == left
    assert next(queue.victims(POLICY, 5), None) is first


def test_a_part_split_off_takes_its_place_just_behind() -> None:
    first, second, third, part = (held(node, slab=True) for node in leaves(4))
    queue = filled(first, second, third)
    queue.add_behind(part, second)
    assert order(queue, 1) == [first, second, part, third]


def test_another_size_counts_at_once_pinned_or_not() -> None:
    (node,) = leaves(1)
    only = held(node)
    queue = filled(only)
    queue.pin(only, 1)
    only.pins += 1
    queue.resize(only, 160)
    only.size_bytes = 160
    assert (queue.size_bytes, queue.pinned_bytes) == (160, 160)


def test_unused_since_gives_the_eldest_and_no_slab_that_another_continues() -> None:
    tree = RadixTree()
    above = tree.grow(tree.root, (1, 2))
    deep = tree.grow(above, (3,))
    old, new = held(above, seconds=1, slab=True), held(deep, seconds=5, slab=True)
    queue = filled(old, new)
    assert next(queue.unused_since(4), None) is None
    assert next(queue.unused_since(6), None) is new
    queue.remove(new)
    deep.slab = None
    assert next(queue.unused_since(4), None) is old
    assert next(queue.unused_since(1), None) is None
