"""Train: networks learn on the page, and a link trains the same ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import get_args

import httpx
from playwright.sync_api import expect
from pydantic import BaseModel

from app.contract.training import TrainingRequest
from tests.page.conftest import FAILED, Visitor

SMALL = (
    "#/train?f=relu&f=prelu(learn~weight)&kind=moons&count=40&hidden=6&steps=20&runs=2&frames=4&boundary=6"
)


def test_a_training_is_drawn_while_it_runs_and_shown_in_figures(visitor: Visitor) -> None:
    page = visitor.open(SMALL)
    expect(page.locator(".results tbody tr")).to_have_count(2)
    expect(page.locator(".train-stage svg .mark-line path")).to_have_count(4)  # loss and accuracy of both
    expect(page.locator(".train-stage svg .mark-symbol path")).not_to_have_count(0)  # their maps
    call = page.locator(".call code").inner_text()
    body = json.loads(call[call.index("-d '") + 4 : -1])
    found = httpx.post(f"{visitor.base}/training", json=body, timeout=60).json()["activations"]
    shown = page.locator(".results tbody tr").all_inner_texts()
    for line, each in zip(shown, found, strict=True):
        assert float(line.split("\t")[1]) == float(f"{each['loss']['median']:.3g}")
    page.get_by_text("Each layer at this step").click()
    page.get_by_role("group", name="Activation whose").get_by_role("button").last.click()
    expect(page.locator(".layers tbody tr")).to_have_count(2)
    expect(page.locator(".layers tbody tr").first).to_contain_text("weight")  # PReLU's slope has moved
    page.get_by_role("slider", name="Frame to look at").fill("0")
    expect(page.locator(".scrub output")).to_have_text("0")


def leaves(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """The fields of a contract's model, those of the models in it by their own names."""
    for name, field in model.model_fields.items():
        inner = [each for each in (field.annotation, *get_args(field.annotation)) if isinstance(each, type)]
        models = [each for each in inner if issubclass(each, BaseModel)]
        yield from leaves(models[0], f"{before}{name}.") if models else [before + name]


CONTROLS = {
    "data.inputs": "examples",
    "data.targets": "examples",
    "init.sigma_w": "sigma_w",
    "init.sigma_b": "sigma_b",
    "optimizer.kind": "optimizer",
    "residual.scale": "residual",
}
"""Fields whose control has another name."""


def test_the_form_has_all_that_a_training_takes(visitor: Visitor) -> None:
    page = visitor.open(SMALL)
    expect(page.locator(".results tbody tr")).to_have_count(2)
    names = page.locator("form [name]").evaluate_all("(all) => all.map(({ name }) => name)")
    wanted = {CONTROLS.get(each, each.rpartition(".")[2]) for each in leaves(TrainingRequest)}
    assert wanted - {"activations"} | {"init"} == set(names)  # activations have cards


def test_examples_of_ones_own_are_learned(visitor: Visitor) -> None:
    page = visitor.open(SMALL.replace("kind=moons", "kind=own&examples=0%2C0%2C0%0A1%2C1%2C1%0A2%2C2%2C1"))
    expect(page.locator(".results tbody tr")).to_have_count(2)
    expect(page.locator(".call code")).to_contain_text('"targets":[0,1,1]')


def test_what_cannot_be_trained_is_reported_in_place(visitor: Visitor) -> None:
    visitor.expected = (FAILED,)
    page = visitor.open(SMALL)
    expect(page.locator(".results tbody tr")).to_have_count(2)
    page.get_by_label("Learning rate").fill("fast")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator("form").get_by_role("alert")).to_have_text("“Learning rate” needs a number.")
    page.get_by_label("Learning rate").fill("-1")
    expect(page.locator("form").get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".picture").get_by_role("alert")).to_contain_text("learning_rate")
    expect(page).to_have_url(re.compile("learning_rate=-1"))
