"""Names that a request may hold and the service knows: functions, formats, initialisers, normalisations.

Each is a component of its own in the OpenAPI document. Which names there are, the service writes in
(`app.http.openapi`); a client needs no list of them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypeAliasType

_LONGEST = 100

_LONGEST_FUNCTION = 1_200
"""A formula's most characters, its prefix, and blanks around it."""

FunctionName = TypeAliasType("FunctionName", Annotated[str, Field(max_length=_LONGEST_FUNCTION)])
"""A canonical name (``tanh``), a framework's own behind its prefix (``torch:Tanh``), or ``formula:…``."""

DtypeName = TypeAliasType("DtypeName", Annotated[str, Field(max_length=_LONGEST)])
"""A number format."""

InitName = TypeAliasType("InitName", Annotated[str, Field(max_length=_LONGEST)])
"""A framework's name of an initialiser, ``critical``, ``fair`` or ``lsuv``."""

NormalizationName = TypeAliasType("NormalizationName", Annotated[str, Field(max_length=_LONGEST)])
"""A normalisation of pre-activations."""

DataName = TypeAliasType("DataName", Annotated[str, Field(max_length=_LONGEST)])
"""A data set to learn."""

LossName = TypeAliasType("LossName", Annotated[str, Field(max_length=_LONGEST)])
"""What training makes small."""

OptimizerName = TypeAliasType("OptimizerName", Annotated[str, Field(max_length=_LONGEST)])
"""By which steps."""

TrainingInitName = TypeAliasType("TrainingInitName", Annotated[str, Field(max_length=_LONGEST)])
"""The same as `InitName`, or ``fair``."""
