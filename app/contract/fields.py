"""The names of all fields of requests, which error messages may repeat."""

from __future__ import annotations

from app.contract.activate import ActivateRequest
from app.contract.blocks import (
    KINDS,
    ConvolutionBlockFields,
    RecurrentBlockFields,
    ResidualBlockFields,
    TransformerBlockFields,
)
from app.contract.gradient_flow import (
    DistributionFields,
    DropoutFields,
    GaussianInputFields,
    GradientFlowRequest,
    LayerActivation,
    ResidualFields,
    Sigmas,
)
from app.contract.mean_field import MeanFieldRequest
from app.contract.pictures import FunctionsPictureQuery, NetworksPictureQuery
from app.contract.sweep import SweepRequest
from app.contract.training import (
    DataFields,
    OptimizerFields,
    TrainedActivation,
    TrainingRequest,
    WatchFields,
)
from app.contract.verify import VerifyRequest

FIELD_NAMES: frozenset[str] = frozenset(
    name
    for model in (
        ActivateRequest,
        VerifyRequest,
        MeanFieldRequest,
        GradientFlowRequest,
        SweepRequest,
        TrainingRequest,
        TrainedActivation,
        DataFields,
        OptimizerFields,
        WatchFields,
        GaussianInputFields,
        Sigmas,
        DistributionFields,
        DropoutFields,
        LayerActivation,
        ResidualFields,
        ResidualBlockFields,
        TransformerBlockFields,
        RecurrentBlockFields,
        ConvolutionBlockFields,
        FunctionsPictureQuery,
        NetworksPictureQuery,
    )
    for name in model.model_fields
) | frozenset(KINDS)
"""The fields of all requests, and the kinds of blocks, which appear in the paths of errors."""
