"""Peer (a): the straightforward service, FastAPI with PyTorch's autograd."""

from __future__ import annotations

import torch
from fastapi import FastAPI
from pydantic import BaseModel


class Request(BaseModel):
    """Numbers in."""

    inputs: list[float]


class Answer(BaseModel):
    """Values and slopes out."""

    outputs: list[float]
    derivative: list[float]


app = FastAPI()


@app.get("/readyz")
async def readyz() -> bool:
    """Whether the service is ready."""
    return True


@app.post("/activate")
def activate(request: Request) -> Answer:
    """The sigmoid and its derivative; not `async`, as FastAPI recommends for blocking work."""
    x = torch.tensor(request.inputs, dtype=torch.float64, requires_grad=True)
    y = torch.sigmoid(x)
    y.sum().backward()
    assert x.grad is not None
    return Answer(outputs=y.tolist(), derivative=x.grad.tolist())
