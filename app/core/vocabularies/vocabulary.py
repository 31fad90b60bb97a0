"""What a vocabulary is: one framework's own names for activations, with its parameters and defaults.

Entries are named here by their canonical names alone; the registry looks them up and refuses a name that does
not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Argument:
    """A framework's own parameter: its ``name`` and ``default`` there, and the entry's parameter it sets.

    No default means that the framework demands a value. ``of`` is left out where the entry's parameter has
    the same name.
    """

    name: str
    default: float | None = None
    of: str = ""

    @property
    def parameter(self) -> str:
        """The entry's parameter that this one sets."""
        return self.of or self.name


@dataclass(frozen=True)
class FrameworkName:
    """One signature of a framework: the entry it computes, its spellings, parameters and defaults.

    Attributes:
        activation: the canonical name of the entry.
        names: all spellings with this signature.
        arguments: the framework's own parameters, in its order.
        fixed: parameters of the entry that the framework leaves no choice about.
        options: switches that choose this entry among several under one name (``approximate="tanh"``): the
            value that means this one.
        preferred: whether this is the entry taken when the switch is not given.
        axis: the framework's name for the axis, None where it has none, and the axis taken by default, None
            for PyTorch's rule: 0 for inputs of 0, 1 or 3 axes, else 1.
    """

    activation: str
    names: tuple[str, ...]
    arguments: tuple[Argument, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    options: Mapping[str, str | bool] = field(default_factory=dict, kw_only=True)
    preferred: bool = field(default=True, kw_only=True)
    axis: tuple[str | None, int | None] | None = field(default=None, kw_only=True)

    @property
    def own_parameters(self) -> tuple[str, ...]:
        """The names of the framework's own parameters: arguments, switches, axis."""
        axis = () if self.axis is None or self.axis[0] is None else (self.axis[0],)
        return (*(each.name for each in self.arguments), *self.options, *axis)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """All names of one framework.

    Attributes:
        framework: the prefix: ``torch`` in ``torch:ReLU``.
        title: what the framework calls itself.
        project: where its source is published.
        versions: the versions that these names and defaults hold for.
        sources: the files of the project, or the pages of its reference, they were read from.
        remarks: what a reader who compares the framework with its formulas has to know.
        names: the signatures.
    """

    framework: str
    title: str
    project: str
    versions: str
    sources: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    names: tuple[FrameworkName, ...]

    def __iter__(self) -> Iterator[FrameworkName]:
        return iter(self.names)
