"""Peer (a): what one writes first, FastAPI in front of PyTorch's autograd."""

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
    """Whether it answers."""
    return True


@app.post("/activate")
def activate(request: Request) -> Answer:
    """The sigmoid and its derivative; no `async`, as FastAPI advises for work that blocks."""
    x = torch.tensor(request.inputs, dtype=torch.float64, requires_grad=True)
    y = torch.sigmoid(x)
    y.sum().backward()
    assert x.grad is not None
    return Answer(outputs=y.tolist(), derivative=x.grad.tolist())
