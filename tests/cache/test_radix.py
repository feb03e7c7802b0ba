"""The radix tree against the plain set of its prompts."""

import random
from array import array
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.keys import digest
from cache.prefix_records import Scope
from cache.radix import Held, Node, RadixTree, shared_length

PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple), max_size=12)


class Nothing:
    size_bytes = 0


def mark(node: Node) -> None:
    """A whole prompt ends here."""
    scope = Scope((), digest("model"))
    node.whole = Held(Nothing(), scope, node, node.end, 0, 0, 0.0, is_slab=False)


def add(tree: RadixTree, tokens: tuple[int, ...]) -> Node:
    walk = tree.walk(tokens)
    node = walk.nodes[-1] if walk.nodes else tree.root
    if walk.depth < node.end:
        node = tree.split(node, walk.depth)
    if walk.depth < len(tokens):
        node = tree.grow(node, tokens[walk.depth :])
    mark(node)
    return node


def below(node: Node) -> Iterator[Node]:
    for child in node.children.values():
        yield child
        yield from below(child)


def tokens_of(node: Node) -> tuple[int, ...]:
    path = [tuple(each.tokens) for each in node.path()]
    return tuple(token for edge in reversed(path) for token in edge)


def check(tree: RadixTree, held: set[tuple[int, ...]]) -> None:
    nodes = list(below(tree.root))
    assert {tokens_of(node) for node in nodes if node.whole is not None} == held
    for node in nodes:
        assert node.parent is not None
        assert len(node.tokens) > 0
        assert node.start == node.parent.end
        assert node.parent.children[node.tokens[0]] is node
        assert node.whole is not None or len(node.children) > 1, "an edge is cut for nothing"


@settings(deadline=None, derandomize=True)
@given(PROMPTS, PROMPTS)
def test_a_walk_goes_as_far_as_any_prompt_begins_alike(
    prompts: list[tuple[int, ...]], asked: list[tuple[int, ...]]
) -> None:
    tree = RadixTree()
    for count, prompt in enumerate(prompts, start=1):
        add(tree, prompt)
        check(tree, set(prompts[:count]))
    for each in asked:
        walk = tree.walk(each)
        assert walk.depth == max((shared_length(each, prompt) for prompt in prompts), default=0)
        covered = [token for node in walk.nodes for token in node.tokens]
        assert tuple(covered[: walk.depth]) == each[: walk.depth]


@settings(deadline=None, derandomize=True)
@given(PROMPTS, st.randoms(use_true_random=False))
def test_what_goes_leaves_no_trace(prompts: list[tuple[int, ...]], rng: random.Random) -> None:
    tree = RadixTree()
    nodes = {prompt: add(tree, prompt) for prompt in prompts}
    left = set(nodes)
    for prompt in rng.sample(sorted(nodes), len(nodes)):
        nodes[prompt].whole = None
        tree.prune(nodes[prompt])
        left.remove(prompt)
        check(tree, left)
    assert not tree.root.children


def test_a_branching_left_by_evicted_prompts_is_joined_again() -> None:
    """Else one long prompt would keep as many nodes as prompts ever left it, in no budget."""
    tree = RadixTree()
    longest = tuple(range(77))
    kept = add(tree, longest)
    for cut in range(1, 77):
        gone = add(tree, (*longest[:cut], 1000))
        gone.whole = None
        tree.prune(gone)
    assert list(below(tree.root)) == [kept]
    assert tokens_of(kept) == longest


def test_splitting_keeps_the_lower_node_the_same_object_and_both_as_recent() -> None:
    tree = RadixTree()
    lower = add(tree, (1, 2, 3, 4))
    lower.tick = 7
    upper = tree.split(lower, 3)
    assert lower.parent is upper
    assert tokens_of(lower) == (1, 2, 3, 4)
    assert tokens_of(upper) == (1, 2, 3)
    assert (upper.start, upper.end, lower.start, lower.end) == (0, 3, 3, 4)
    assert upper.tick == lower.tick == 7


def test_a_token_that_fits_no_edge_is_refused_and_not_wrapped_around() -> None:
    with pytest.raises(ValueError, match="32-bit"):
        RadixTree().walk((1 << 40,))


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [((), (1,), 0), ((1, 2), (1, 2), 2), ((1, 2), (1, 3), 1), ((1,), (1, 3), 1), ((2,), (1,), 0)],
)
def test_shared_length(first: tuple[int, ...], second: tuple[int, ...], length: int) -> None:
    assert shared_length(array("i", first), array("i", second)) == length
