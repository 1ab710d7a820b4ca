# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
"""The model that the benchmarks give to PyTorch and ONNX Runtime, as a user of PyTorch would write it.

Pre-norm GPT over environment steps, one token a step: observation (81 ids, one table, which is less work than the two
tables of 9 that icrl reads) + previous action (5 ids and a null) + previous reward + learned position. Feed-forward width
4d, tanh-GELU, 5 actions out.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

OBSERVATIONS, ACTIONS = 81, 5


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def mlp(self, x):
        return self.down(F.gelu(self.up(self.mlp_norm(x)), approximate="tanh"))

    def forward(self, x):
        """All tokens of a window at once: (B, T, d)"""
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2)
                   for part in self.qkv(self.attention_norm(x)).chunk(3, 2))
        if torch.is_autocast_enabled("cpu"):  # this kernel is many times slower in bfloat16 than in float
            with torch.autocast("cpu", enabled=False):
                mixed = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=True)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(x)

    def step(self, x, keys, values):
        """One token over a cache: x (B, d), keys and values (B, H, t, d/H)"""
        q, k, v = (part.unflatten(1, (self.heads, -1)).unsqueeze(2)
                   for part in self.qkv(self.attention_norm(x)).chunk(3, 1))
        keys, values = torch.cat([keys, k], 2), torch.cat([values, v], 2)
        scores = (q @ keys.transpose(2, 3)) * q.shape[-1] ** -0.5
        x = x + self.output((scores.softmax(-1) @ values).squeeze(2).flatten(1))
        return x + self.mlp(x), k.squeeze(2), v.squeeze(2)

    def step_beside(self, x, keys, values):
        """The same without copies of the cache: keys (B, H, d/H, t) lie as they are read, the token's own stands beside"""
        q, k, v = (part.unflatten(1, (self.heads, -1)).unsqueeze(2)
                   for part in self.qkv(self.attention_norm(x)).chunk(3, 1))
        scores = torch.cat([q @ keys, (q * k).sum(-1, keepdim=True)], 3) * q.shape[-1] ** -0.5
        weights = scores.softmax(-1)
        past = weights.shape[-1] - 1
        mixed = weights[..., :past] @ values + weights[..., past:] * v
        x = x + self.output(mixed.squeeze(2).flatten(1))
        return x + self.mlp(x), k.squeeze(2), v.squeeze(2)


class SmallGPT(nn.Module):
    def __init__(self, width, layers, heads, context):
        super().__init__()
        self.observation, self.action = nn.Embedding(OBSERVATIONS, width), nn.Embedding(ACTIONS + 1, width)
        self.reward = nn.Linear(1, width)
        self.positions = nn.Parameter(0.02 * torch.randn(context, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, ACTIONS)

    def forward(self, observation, action, reward):
        """ids (B, T), ids (B, T), (B, T, 1) -> logits (B, T, 5)"""
        x = self.observation(observation) + self.action(action) + self.reward(reward) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Step(nn.Module):
    """One token of a SmallGPT at position p over keys and values (L, B, H, t, d/H); returns logits and the new rows."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, observation, action, reward, position, keys, values):
        model, new_keys, new_values = self.model, [], []
        x = model.observation(observation) + model.action(action) + model.reward(reward) + model.positions[position]
        for i, block in enumerate(model.blocks):
            x, key, value = block.step(x, keys[i], values[i])
            new_keys.append(key)
            new_values.append(value)
        return model.head(model.norm(x)), torch.stack(new_keys), torch.stack(new_values)


class StepByLayer(nn.Module):
    """The same step over a cache that is handed in layer by layer, keys0, values0, keys1, ...: keys (B, H, d/H, t)."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, observation, action, reward, position, *caches):
        model, rows = self.model, []
        x = model.observation(observation) + model.action(action) + model.reward(reward) + model.positions[position]
        for block, keys, values in zip(model.blocks, caches[::2], caches[1::2]):
            x, key, value = block.step_beside(x, keys, values)
            rows += [key, value]
        return model.head(model.norm(x)), *rows
