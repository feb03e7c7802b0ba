"""A radix tree over token ids: which prompts begin alike, and what is held along their paths.

Bookkeeping alone: what is held is opaque, apart from its size and that a run of positions can be
split in two. No tensors, no budget, no lock; PrefixPool adds budget and lock.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cache.prefix_records import Scope

Tokens = Sequence[int]
"""Token ids of a prompt, padding included. A path's edges are kept in four bytes a token."""


class Slab(Protocol):
    """States of a run of positions, such as the K/V of a text encoder's layers."""

    @property
    def size_bytes(self) -> int:
        """What it keeps allocated, in bytes."""

    def split(self, at: int) -> tuple[Slab, Slab]:
        """The first `at` positions and the others, sharing no memory."""


class Whole(Protocol):
    """The finished states of a whole prompt."""

    @property
    def size_bytes(self) -> int:
        """What it keeps allocated, in bytes."""


@dataclass(eq=False, slots=True)
class Held:
    """Something held at a node: its size, the positions that it saves, and when it was used."""

    value: Slab | Whole
    scope: Scope
    node: Node
    positions: int
    size_bytes: int
    tick: int  # of the pool's logical clock: one per lookup
    seconds: float  # of the pool's wall clock
    is_slab: bool
    pins: int = 0


@dataclass(eq=False, slots=True)
class Node:
    """The end of an edge of tokens; `start` is the position of the edge's first token."""

    tokens: array[int]
    start: int
    parent: Node | None
    children: dict[int, Node] = field(default_factory=dict)
    slab: Held | None = None
    whole: Held | None = None
    tick: int = 0  # when a prompt last came this way

    @property
    def end(self) -> int:
        """The position after the edge's last token."""
        return self.start + len(self.tokens)

    def path(self) -> Iterator[Node]:
        """This node and its ancestors, the root not included."""
        node = self
        while node.parent is not None:
            yield node
            node = node.parent


@dataclass(frozen=True)
class Walk:
    """How far a prompt is known. nodes: matched, the root not included; the last one may be matched
    in part only. depth: tokens matched.
    """

    nodes: tuple[Node, ...]
    depth: int


class RadixTree:
    """One tree: prompts of one model under one namespace."""

    def __init__(self) -> None:
        self.root = Node(array("i"), 0, None)

    def walk(self, tokens: Tokens) -> Walk:
        """As far as the tree knows these tokens; every token is compared, nothing is hashed."""
        asked = token_array(tokens)
        nodes: list[Node] = []
        node, depth = self.root, 0
        while depth < len(asked):
            child = node.children.get(asked[depth])
            if child is None:
                break
            matched = shared_length(child.tokens, asked[depth : child.end])
            nodes.append(child)
            depth += matched
            if matched < len(child.tokens):
                break
            node = child
        return Walk(tuple(nodes), depth)

    def grow(self, node: Node, tokens: Tokens) -> Node:
        """A new leaf below a node, or below the root."""
        leaf = Node(array("i", tokens), node.end, node)
        node.children[leaf.tokens[0]] = leaf
        return leaf

    def split(self, node: Node, position: int) -> Node:
        """Cut a node's edge at a position inside it; the new upper node, which holds nothing.

        The lower part stays the same object, so that whoever holds it still reaches the root.
        """
        at, parent = position - node.start, node.parent
        assert parent is not None
        assert 0 < at < len(node.tokens)
        upper = Node(node.tokens[:at], node.start, parent, tick=node.tick)
        parent.children[upper.tokens[0]] = upper
        node.tokens, node.start, node.parent = node.tokens[at:], position, upper
        upper.children[node.tokens[0]] = node
        return upper

    def prune(self, node: Node) -> None:
        """Remove a node that holds nothing and leads nowhere, and its ancestors likewise; one that
        leads to a single other is joined with it.
        """
        while node.parent is not None and node.slab is None and node.whole is None:
            parent = node.parent
            if len(node.children) > 1:
                return
            if node.children:
                (child,) = node.children.values()  # the same object stays, as when it is split
                child.tokens, child.start = node.tokens + child.tokens, node.start
                parent.children[child.tokens[0]], child.parent = child, parent
            else:
                del parent.children[node.tokens[0]]
            node.parent, node = None, parent


def token_array(tokens: Tokens) -> array[int]:
    """Token ids as the tree keeps them. Raises ValueError for one that does not fit four bytes."""
    try:
        return array("i", tokens)
    except OverflowError:
        raise ValueError(
            f"token ids {min(tokens)} to {max(tokens)}: give such as fit a signed 32-bit integer"
        ) from None


def shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    if first == second:
        return len(first)
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length
