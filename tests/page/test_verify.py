"""Verify: a kernel's numbers from a file, judged on the page."""

from __future__ import annotations

import io

import ml_dtypes
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.page.conftest import Visitor


def saved(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], name: str) -> dict[str, object]:
    """The array as a file to choose."""
    file = io.BytesIO()
    np.save(file, array)
    return {"name": f"{name}.npy", "mimeType": "application/octet-stream", "buffer": file.getvalue()}


def test_a_wrong_kernel_is_reported_with_its_worst_case(visitor: Visitor) -> None:
    """ReLU of some float16 numbers, one of them wrong by two of its own ulps."""
    page = visitor.open("#/verify?activation=relu&dtype=float16")
    inputs = np.array([-1, 0.5, 1, 2, 1000], np.float16)
    outputs = np.maximum(inputs, 0)
    outputs[3] += np.float16(2 * 2**-9)
    page.locator("input[name=outputs]").set_input_files(saved(outputs, "outputs"))  # type: ignore[arg-type]
    page.locator("input[name=inputs]").set_input_files(saved(inputs, "inputs"))  # type: ignore[arg-type]
    expect(page.locator("form")).to_contain_text("inputs.npy: 5 numbers")
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator(".badge")).to_have_text("Faulty")
    worst = page.get_by_role("region", name="Worst cases").locator("tbody tr").first
    expect(worst.get_by_role("cell")).to_contain_text(["2", "2.00390625", "2"])
    expect(page.locator(".order")).to_contain_text("Largest error, ulp2")


@pytest.mark.slow
def test_every_bfloat16_number_of_a_right_kernel(visitor: Visitor) -> None:
    """As NumPy saves bfloat16, two bytes without a kind; no inputs are given, so all are meant."""
    page = visitor.open("#/verify?activation=relu&dtype=bfloat16")
    inputs = np.arange(2**16, dtype=np.uint16).view(ml_dtypes.bfloat16)
    with np.errstate(invalid="ignore"):  # some NaN carry a message
        negative = np.signbit(inputs) & ~np.isnan(inputs)
        outputs = np.where(negative, inputs.dtype.type(0), inputs)
    page.locator("input[name=outputs]").set_input_files(saved(outputs, "outputs"))  # type: ignore[arg-type]
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator(".badge")).to_have_text("Correctly rounded")


def test_a_formula_with_a_parameter_is_what_the_kernel_computes(visitor: Visitor) -> None:
    page = visitor.open("#/verify?activation=relu&dtype=float32&tolerance_ulp=some")
    inputs = np.array([-1, 0.5, 2], np.float32)
    page.locator("input[name=outputs]").set_input_files(saved(2 * inputs, "outputs"))  # type: ignore[arg-type]
    page.locator("input[name=inputs]").set_input_files(saved(inputs, "inputs"))  # type: ignore[arg-type]
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator("form").get_by_role("alert")).to_have_text("“Accepted error, ulp” needs a number.")
    page.get_by_text("More settings").click()
    page.get_by_label("Accepted error").fill("")
    expect(page.locator("form").get_by_role("alert")).to_have_count(0)
    page.get_by_label("Function it computes").select_option("formula")
    page.get_by_label("Formula", exact=True).fill("slope * x")
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator(".badge")).to_have_text("Faulty")
    page.locator(".parameter input[type=text]").fill("2")
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator(".badge")).to_have_text("Correctly rounded")


def test_a_missing_file_is_reported_in_place(visitor: Visitor) -> None:
    page = visitor.open("#/verify")
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator("form").get_by_role("alert")).to_contain_text("Choose a file")


def test_all_arrays_come_in_one_file(visitor: Visitor) -> None:
    page = visitor.open("#/verify?activation=relu&dtype=float16")
    inputs = np.array([-1, 0.5, 1, 2, 1000], np.float16)
    file = io.BytesIO()
    np.savez(file, inputs=inputs, outputs=np.maximum(inputs, 0))
    archive = {"name": "kernel.npz", "mimeType": "application/zip", "buffer": file.getvalue()}
    page.locator("input[name=outputs]").set_input_files(archive)  # type: ignore[arg-type]
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator(".badge")).to_have_text("Correctly rounded")


def test_the_function_is_identified(visitor: Visitor) -> None:
    """Numbers of the ReLU that is cut at 6, with no function named: it is the first candidate."""
    page = visitor.open("#/verify?activation=%3F&dtype=float16")
    expect(page.locator("form select").first).to_have_value("?")
    inputs = np.linspace(-8, 12, 200).astype(np.float16)
    outputs = np.clip(inputs, np.float16(0), np.float16(6))
    page.locator("input[name=outputs]").set_input_files(saved(outputs, "outputs"))  # type: ignore[arg-type]
    page.locator("input[name=inputs]").set_input_files(saved(inputs, "inputs"))  # type: ignore[arg-type]
    page.get_by_role("button", name="Judge", exact=True).click()
    rows = page.get_by_role("region", name="The function could be").locator("tbody tr")
    expect(rows.first.get_by_role("rowheader")).to_have_text("relu6")
    expect(rows.first).to_contain_text("100 %")


def test_a_function_of_rows_along_an_axis(visitor: Visitor) -> None:
    """Softmax of two columns, one probability wrong: its place is shown."""
    page = visitor.open("#/verify?activation=softmax&dtype=float32&axis=0")
    inputs = np.zeros((2, 3), np.float32)
    outputs = np.full((2, 3), 0.5, np.float32)
    outputs[1, 2] = 0.75
    page.locator("input[name=outputs]").set_input_files(saved(outputs, "outputs"))  # type: ignore[arg-type]
    page.locator("input[name=inputs]").set_input_files(saved(inputs, "inputs"))  # type: ignore[arg-type]
    expect(page.get_by_label("Axis of a row")).to_be_visible()
    expect(page.get_by_label("Axis of a row")).to_have_value("0")
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator(".badge")).to_have_text("Faulty")
    worst = page.get_by_role("region", name="Worst cases").locator("tbody tr").first
    expect(worst.get_by_role("cell").last).to_have_text("1, 2")
