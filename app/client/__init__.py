"""A typed client: NumPy or PyTorch arrays in, NumPy arrays out, in binary for large arrays.

An operation is a value, an `Exchange`: the request, and how to read the response. `Client` sends it
synchronously, `AsyncClient` asynchronously; the operations are the same for both.

    with Client("http://127.0.0.1:8000") as lab:
        values = lab.send(activate("tanh", np.linspace(-3, 3, 7), order=2))
        values.derivative

None of the server's dependencies are needed: httpx, pydantic, NumPy and ml-dtypes are enough.
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
    TrainingEvent,
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
    "Training",
    "TrainingEvent",
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
