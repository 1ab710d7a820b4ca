#!/usr/bin/env python3
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
"""Writes golden.txt: what PyTorch computes for three small models, in double precision.

    python3 make_golden.py > golden.txt

tests/model/golden_test.cpp builds the same models and compares logits, losses and gradients. The architecture is written
out here a second time, on PyTorch's autograd and with none of the library's code, so that an error made in both a forward
and its backward pass cannot hide.

The file is plain text, values parted by white space. A model is

    model NAME
    width W layers L heads H context T positions learned|rotary tokens fused|separate closing 0|1
    observation discrete N | multi_discrete K N1 .. NK | box K
    action      the same
    sequences B steps S
    array NAME ROWS COLUMNS, then the values row by row (any number of arrays)
    end

with the arrays `features` (B*S rows [observation | previous action | previous reward | flag]), `actions` (labels),
`label_weights` (1 = labeled, 0 = not), `weight/X` and `gradient/X` for each parameter X of the library's naming, `outputs`
(B*S rows), and for each label smoothing s in {0, 0.1}: `loss/s`, the mean over labeled steps, and `doutputs/s`, its gradient
by the outputs. `gradient/X` belongs to smoothing 0. Box spaces are [-2, 2] in each dimension and have no smoothing.
"""

import math
import sys

import torch
import torch.nn.functional as F

FLAG_COUNT = 8
EPISODE_START, NO_PREVIOUS, CLOSING = 1, 2, 4


class Space:
    """discrete or multi_discrete (`counts`), or box (`size` dimensions)."""

    def __init__(self, kind, counts=(), size=0):
        self.kind, self.counts = kind, list(counts)
        self.size = size or len(self.counts)

    def text(self):
        if self.kind == "discrete":
            return f"discrete {self.counts[0]}"
        return " ".join(map(str, [self.kind, self.size, *self.counts]))

    def sample(self, rows):
        if self.counts:
            return torch.stack([torch.randint(0, n, (rows,)) for n in self.counts], 1).double()
        return (torch.rand(rows, self.size) * 256 - 128).round().double() / 128  # exact in float as well

    def null(self):
        return torch.tensor(self.counts).double() if self.counts else torch.zeros(self.size).double()


class Model:
    """A pre-norm GPT over steps. Parameters live in one dictionary under the library's names; y = x W + b."""

    def __init__(self, observation, action, width=16, layers=2, heads=2, context=12, positions="learned", tokens="fused",
                 closing=False):
        self.observation, self.action = observation, action
        self.width, self.layers, self.heads, self.context = width, layers, heads, context
        self.positions, self.tokens, self.closing = positions, tokens, closing
        self.output_size = sum(action.counts) if action.counts else 2 * action.size
        self.parameters = {}
        self.add_embedding()
        for i in range(layers):
            self.add_block(f"blocks.{i}")
        self.add_norm("final_norm")
        self.add_linear("head", width, self.output_size)

    def add(self, name, rows, columns, deviation, mean=0.0):
        value = (mean + deviation * torch.randn(rows, columns)).double().mul(1000).round().div(1000)
        self.parameters[name] = value.requires_grad_()

    def add_linear(self, name, inputs, outputs):
        self.add(name + ".weight", inputs, outputs, 1.0 / math.sqrt(inputs))
        self.add(name + ".bias", 1, outputs, 0.2)

    def add_norm(self, name):
        self.add(name + ".gain", 1, self.width, 0.2, mean=1.0)
        self.add(name + ".bias", 1, self.width, 0.2)

    def add_embedding(self):
        for i, count in enumerate(self.observation.counts):
            self.add(f"embedding.observation_tables.{i}", count, self.width, 0.5)
        for i, count in enumerate(self.action.counts):
            self.add(f"embedding.action_tables.{i}", count + 1, self.width, 0.5)  # the last row: no previous action
        if not self.observation.counts:
            self.add("embedding.observation_maps.0", self.observation.size, self.width, 0.5)
        if not self.action.counts:
            self.add("embedding.action_maps.0", self.action.size, self.width, 0.5)
        self.add("embedding.reward", 1, self.width, 0.5)
        self.add("embedding.flags", FLAG_COUNT, self.width, 0.5)
        if self.positions == "learned":
            self.add("embedding.positions", self.context * self.tokens_per_step(), self.width, 0.5)
        self.add("embedding.bias", 1, self.width, 0.2)

    def add_block(self, name):
        self.add_norm(name + ".attention_norm")
        self.add_linear(name + ".attention.qkv", self.width, 3 * self.width)
        self.add_linear(name + ".attention.output", self.width, self.width)
        self.add_norm(name + ".mlp_norm")
        self.add_linear(name + ".mlp.up", self.width, 4 * self.width)
        self.add_linear(name + ".mlp.down", 4 * self.width, self.width)

    def tokens_per_step(self):
        return 3 if self.tokens == "separate" else 1

    def linear(self, name, x):
        return x @ self.parameters[name + ".weight"] + self.parameters[name + ".bias"][0]

    def norm(self, name, x):
        gain, bias = self.parameters[name + ".gain"][0], self.parameters[name + ".bias"][0]
        return F.layer_norm(x, (self.width,), gain, bias, eps=1e-5)

    def embed_values(self, space, values, name):
        if not space.counts:
            return values @ self.parameters[f"embedding.{name}_maps.0"]
        ids = values.long()
        return sum(self.parameters[f"embedding.{name}_tables.{i}"][ids[..., i]] for i in range(space.size))

    def embed(self, features):
        """(B, S, F) -> (B, S * tokens_per_step, W)"""
        o, a = self.observation.size, self.action.size
        observation = self.embed_values(self.observation, features[..., :o], "observation")
        observation = observation + self.parameters["embedding.flags"][features[..., o + a + 1].long()]
        action = self.embed_values(self.action, features[..., o:o + a], "action")
        reward = features[..., o + a:o + a + 1] @ self.parameters["embedding.reward"]
        if self.tokens == "fused":
            x = observation + action + reward
        else:
            x = torch.stack([action, reward, observation], 2).flatten(1, 2)
        x = x + self.parameters["embedding.bias"][0]
        if self.positions == "learned":
            x = x + self.parameters["embedding.positions"][:x.shape[1]]
        return x

    def rotate(self, x):
        """Rotary positions (Su et al., 2021) on (B, H, tokens, D): pair (i, i + D/2) turns by token * 10000^(-2i/D)."""
        half = x.shape[-1] // 2
        speed = 10000.0 ** (-2.0 * torch.arange(half).double() / x.shape[-1])
        angle = torch.arange(x.shape[2]).double()[:, None] * speed
        first, second = x[..., :half], x[..., half:]
        return torch.cat([first * angle.cos() - second * angle.sin(), first * angle.sin() + second * angle.cos()], -1)

    def attention(self, name, x):
        batch, tokens, width = x.shape
        size = width // self.heads
        q, k, v = (part.view(batch, tokens, self.heads, size).transpose(1, 2)
                   for part in self.linear(name + ".qkv", x).split(width, dim=2))
        if self.positions == "rotary":
            q, k = self.rotate(q), self.rotate(k)
        scores = q @ k.transpose(2, 3) / math.sqrt(size)
        future = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, -math.inf).softmax(-1) @ v
        return self.linear(name + ".output", mixed.transpose(1, 2).reshape(batch, tokens, width))

    def __call__(self, features):
        """(B, S, F) -> (B, S, output_size), read at each step's last token"""
        x = self.embed(features)
        for i in range(self.layers):
            block = f"blocks.{i}"
            x = x + self.attention(block + ".attention", self.norm(block + ".attention_norm", x))
            hidden = self.linear(block + ".mlp.up", self.norm(block + ".mlp_norm", x))
            x = x + self.linear(block + ".mlp.down", F.gelu(hidden, approximate="tanh"))
        outputs = self.linear("head", self.norm("final_norm", x))
        return outputs[:, self.tokens_per_step() - 1::self.tokens_per_step()]

    def loss(self, outputs, actions, weights, smoothing):
        """Mean of -log p(action) over labeled steps; `outputs` and `actions` have one row a step."""
        if self.action.counts:
            parts = outputs.split(self.action.counts, dim=1)
            each = sum(F.cross_entropy(part, actions[:, i].long(), label_smoothing=smoothing, reduction="none")
                       for i, part in enumerate(parts))
        else:
            mean, log_deviation = outputs.split(self.action.size, dim=1)
            each = -torch.distributions.Normal(mean, log_deviation.exp()).log_prob(actions).sum(1)
        return (each * weights).sum() / weights.sum()


def make_rows(model, sequences, steps, episode_length):
    """Rows as an agent would see them: random values, episodes of `episode_length`, contexts that start without a past."""
    closing = model.closing
    rows, weights = [], []
    for _ in range(sequences):
        observations, previous = model.observation.sample(steps), model.action.sample(steps)
        rewards = torch.randint(0, 5, (steps,)).double() / 4
        for t in range(steps):
            phase = t % (episode_length + closing)
            flag = (EPISODE_START if phase == 0 else 0) + (NO_PREVIOUS if t == 0 or (closing and phase == 0) else 0)
            flag = CLOSING if closing and phase == episode_length else flag
            past = not flag & NO_PREVIOUS
            action = previous[t] if past else model.action.null()
            rows.append(torch.cat([observations[t], action, rewards[t:t + 1] * past, torch.tensor([flag]).double()]))
            weights.append(0.0 if flag == CLOSING else 1.0)
    return torch.stack(rows).view(sequences, steps, -1), torch.tensor(weights).double()


def write_array(name, values, form="%.11e"):
    values = values.detach().reshape(-1, values.shape[-1])
    print("array", name, values.shape[0], values.shape[1])
    for row in values.tolist():
        print(" ".join("0" if value == 0 else form % value for value in row))


def write_model(name, model, sequences=2, steps=9, episode_length=4):
    features, weights = make_rows(model, sequences, steps, episode_length)
    actions = model.action.sample(sequences * steps)
    outputs = model(features).flatten(0, 1)
    outputs.retain_grad()
    model.loss(outputs, actions, weights, 0.0).backward(retain_graph=True)

    print("model", name)
    print("width", model.width, "layers", model.layers, "heads", model.heads, "context", model.context, "positions",
          model.positions, "tokens", model.tokens, "closing", int(model.closing))
    print("observation", model.observation.text())
    print("action", model.action.text())
    print("sequences", sequences, "steps", steps)
    write_array("features", features, "%.9g")
    write_array("actions", actions, "%.9g")
    write_array("label_weights", weights[:, None], "%.9g")
    write_array("outputs", outputs)
    for smoothing in (0.0, 0.1) if model.action.counts else (0.0,):
        loss = model.loss(outputs, actions, weights, smoothing)
        write_array(f"loss/{smoothing:g}", loss.view(1, 1), "%.15e")
        write_array(f"doutputs/{smoothing:g}", torch.autograd.grad(loss, outputs, retain_graph=True)[0])
    for parameter, value in model.parameters.items():
        write_array("weight/" + parameter, value, "%.9g")
        write_array("gradient/" + parameter, value.grad)
    print("end")


def main():
    torch.manual_seed(2022)
    grid, moves = Space("multi_discrete", [5, 5]), Space("discrete", [5])
    write_model("learned_fused", Model(grid, moves))
    write_model("rotary_fused", Model(grid, moves, positions="rotary", closing=True))
    write_model("continuous_separate", Model(Space("box", size=3), Space("box", size=2), tokens="separate"))


if __name__ == "__main__":
    sys.exit(main())
