"""The kinds of block there are, by the contract's names. `block` says how one is added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from app.core.errors import UnknownName
from app.core.propagation.block import Block
from app.core.propagation.convolution_block import ConvolutionBlock
from app.core.propagation.recurrent_block import RecurrentBlock
from app.core.propagation.residual_block import ResidualBlock
from app.core.propagation.transformer_block import TransformerBlock

Kind: TypeAlias = type[Block] | type[RecurrentBlock]

_KINDS: tuple[Kind, ...] = (ResidualBlock, TransformerBlock, ConvolutionBlock, RecurrentBlock)
BLOCKS: Mapping[str, Kind] = {each.kind: each for each in _KINDS}


def block(kind: str, options: Mapping[str, Any]) -> Block | RecurrentBlock:
    """A block of that kind with these options; raises `UnknownName`."""
    if kind not in BLOCKS:
        raise UnknownName("block", kind, BLOCKS, loc=("block", "kind"))
    return BLOCKS[kind](**options)
