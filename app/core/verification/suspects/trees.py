"""Formulas with other parts in the place of some."""

from __future__ import annotations

from collections.abc import Mapping

from app.core.formulas.tree import Tree, walk


def replaced(root: Tree, parts: Mapping[Tree, Tree]) -> Tree:
    """``root`` with trees for parts."""
    made: dict[Tree, Tree] = {}
    for node in walk(root):
        rebuilt = Tree(node.op, tuple(made[each] for each in node.args), node.leaf) if node.args else node
        made[node] = parts.get(node, rebuilt)
    return made[root]
