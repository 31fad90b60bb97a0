"""A typed client: NumPy or PyTorch in, NumPy out, binary by itself for big arrays.

An operation is a value, an `Exchange`: what to send and how to read the answer. `Client` sends it and waits,
`AsyncClient` sends it and awaits; nothing else differs, so nothing is written twice.

    with Client("http://127.0.0.1:8000") as lab:
        values = lab.send(activate("tanh", np.linspace(-3, 3, 7), order=2))
        values.derivative

Nothing that serves is needed here: httpx, pydantic, NumPy and ml-dtypes are enough.
"""

from app.client.connections import AsyncClient, Client
from app.client.exchanges import (
    BIG,
    Exchange,
    Layer,
    Lines,
    NetworkOptions,
    Policy,
    ServiceError,
    Told,
    TrainingOptions,
    activate,
    describe,
    describe_formula,
    gradient_flow,
    mean_field,
    picture,
    sweep,
    training,
    verify,
    verify_file,
)
from app.client.results import Diagram, Facts, FormulaFacts, Judgement, Network, Picture, Training, Values

__all__ = [
    "BIG",
    "AsyncClient",
    "Client",
    "Diagram",
    "Exchange",
    "Facts",
    "FormulaFacts",
    "Judgement",
    "Layer",
    "Lines",
    "Network",
    "NetworkOptions",
    "Picture",
    "Policy",
    "ServiceError",
    "Told",
    "Training",
    "TrainingOptions",
    "Values",
    "activate",
    "describe",
    "describe_formula",
    "gradient_flow",
    "mean_field",
    "picture",
    "sweep",
    "training",
    "verify",
    "verify_file",
]
