"""Types of names in requests: functions, formats, initialisers, normalisations.

Each is a separate component of the OpenAPI document, in which the service lists the known names
(`app.http.openapi`); clients need no such list.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypeAliasType

_LONGEST = 100

_LONGEST_FUNCTION = 1_200
"""Characters of the longest formula, with its prefix and some blanks."""

FunctionName = TypeAliasType("FunctionName", Annotated[str, Field(max_length=_LONGEST_FUNCTION)])
"""A canonical name (``tanh``), a framework's own name after its prefix (``torch:Tanh``), or ``formula:…``."""

DtypeName = TypeAliasType("DtypeName", Annotated[str, Field(max_length=_LONGEST)])
"""A number format."""

InitName = TypeAliasType("InitName", Annotated[str, Field(max_length=_LONGEST)])
"""A framework's name of an initialiser, ``critical``, ``fair`` or ``lsuv``."""

NormalizationName = TypeAliasType("NormalizationName", Annotated[str, Field(max_length=_LONGEST)])
"""A normalisation of pre-activations."""

DataName = TypeAliasType("DataName", Annotated[str, Field(max_length=_LONGEST)])
"""A data set to learn."""

LossName = TypeAliasType("LossName", Annotated[str, Field(max_length=_LONGEST)])
"""A loss to minimise."""

OptimizerName = TypeAliasType("OptimizerName", Annotated[str, Field(max_length=_LONGEST)])
"""An optimiser."""

TrainingInitName = TypeAliasType("TrainingInitName", Annotated[str, Field(max_length=_LONGEST)])
"""A framework's name of an initialiser, ``critical`` or ``fair``."""
