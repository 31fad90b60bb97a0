"""Formulas with some parts replaced by others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from app.core.formulas.tree import Tree, walk


@lru_cache(maxsize=1024)
def operations(root: Tree) -> frozenset[str]:
    """The operations of a formula."""
    return frozenset(node.op for node in walk(root))


def replaced(root: Tree, parts: Mapping[Tree, Tree]) -> Tree:
    """``root`` with trees for parts."""
    made: dict[Tree, Tree] = {}
    for node in walk(root):
        rebuilt = Tree(node.op, tuple(made[each] for each in node.args), node.leaf) if node.args else node
        made[node] = parts.get(node, rebuilt)
    return made[root]
