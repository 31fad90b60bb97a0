"""How requests with a network's own weights are documented: a form with a file."""

from __future__ import annotations

PLAIN_DESCRIPTION = """\

**A real network.** A multipart form with a JSON part `request` and a file part `weights` diagnoses your own
layers; `depth`, `width`, `init`, `sigma_b` and `networks` are not given then. The file is safetensors or a
NumPy archive (`.npz`) of matrices and, where there are any, bias vectors, and nothing else.

- A matrix is outputs × inputs, as in PyTorch; transpose the kernels of Keras and Flax, which are inputs ×
  outputs. The activation follows every matrix, the last one too. An activation with several pre-activations a
  unit takes as many rows for each unit, one after the other.
- Where names differ in their numbers alone (`0.weight`, `2.weight`, … `10.weight`; `fc1`, `fc2`), the numbers
  are the order. Other names stand in the order of the file, which a `.npz` keeps and safetensors does not.
- A vector whose name says `bias` or `b` belongs to the matrix whose name is otherwise the same (`0.bias` to
  `0.weight`, `b1` to `W1`). Where no name says what it is (`arr_0`, `arr_1`, …), it belongs to the matrix
  before it.
- Normalisation layers and learned slopes are left out of the file: `normalization` and `params` give them.
"""
"""How `app.wire.weights` reads a file, for the users' documentation."""

NETWORK_DESCRIPTION = (
    PLAIN_DESCRIPTION
    + """
**Blocks of your own weights.** Beside `block` the file is a state dict by PyTorch's names, whatever stands
before them (`encoder.layers.3.linear1.weight`); blocks come in the order of the numbers there.

- `transformer`: `torch.nn.TransformerEncoderLayer`, or GPT-2's (`h.3.attn.c_attn.weight`, as `Conv1D` or as
  `Linear`), or `torch.nn.TransformerDecoderLayer` or GPT-2's with `crossattention`, whose second attention
  looks at `memory`, tokens × width (of keys of another width, kdim and vdim, tokens × that): without it at
  the network's own inputs, as the answer's `memory` says. State dicts say neither `heads` nor
  `norm` nor `causal`: give them.
- `recurrent`: `torch.nn.RNN`, `LSTM` or `GRU` of one or more layers, of one direction or both, or one of
  their cells; `depth` is the number of times, or `inputs` are batch × times × features.
- `convolution`: `torch.nn.Conv1d` or `Conv2d` with as many channels out as in and "same" padding; give
  `size`.
- `residual`: `linear1`, `linear2`, `linear3` (or `fc1` …) in each block, with `norm`, or with `norm1` … (or
  `bn1` …) where `norm` is `inside`.

Gains and offsets of normalisations and all biases are used; batch normalisation takes the batch's own
statistics. What the shapes determine (`mlp_ratio`, `kernel`, `matrices`, `layers`, `bidirectional`,
`features`) need not be given. Tensors of no block (embeddings, a head, a last normalisation) are left out;
the answer's `weights` says how each was used.
"""
)
"""The same with blocks, which can be diagnosed but not trained."""
