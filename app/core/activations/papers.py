"""Papers that several entries name."""

from __future__ import annotations

from app.core.activations.definition import Reference

CARLILE_2017 = Reference(
    authors="Carlile, Delamarter, Kinney, Marti, Whitney",
    title="Improving Deep Learning by Inverse Square Root Linear Units (ISRLUs)",
    year=2017,
    identifier="arXiv:1710.09967",
)

DUGAS_2000 = Reference(
    authors="Dugas, Bengio, Bélisle, Nadeau, Garcia",
    title="Incorporating Second-Order Functional Knowledge for Better Option Pricing",
    year=2000,
)

HOWARD_2019 = Reference(
    authors="Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam",
    title="Searching for MobileNetV3",
    year=2019,
    identifier="arXiv:1905.02244",
)

MAAS_2013 = Reference(
    authors="Maas, Hannun, Ng",
    title="Rectifier Nonlinearities Improve Neural Network Acoustic Models",
    year=2013,
)

MARTINS_2016 = Reference(
    authors="Martins, Astudillo",
    title="From Softmax to Sparsemax: A Sparse Model of Attention and Multi-Label Classification",
    year=2016,
    identifier="arXiv:1602.02068",
)

MCCULLOCH_1943 = Reference(
    authors="McCulloch, Pitts",
    title="A logical calculus of the ideas immanent in nervous activity",
    year=1943,
    identifier="doi:10.1007/BF02478259",
)

MISRA_2019 = Reference(
    authors="Misra",
    title="Mish: A Self Regularized Non-Monotonic Activation Function",
    year=2019,
    identifier="arXiv:1908.08681",
)

OPENAI_2025 = Reference(
    authors="OpenAI",
    title="gpt-oss-120b & gpt-oss-20b Model Card",
    year=2025,
    identifier="arXiv:2508.10925",
)

SAXE_2013 = Reference(
    authors="Saxe, McClelland, Ganguli",
    title="Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
    year=2013,
    identifier="arXiv:1312.6120",
)
