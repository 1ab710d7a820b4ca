# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
"""A task in Python, learned in context: a dial that clicks at one of its positions, nobody knows which."""
import random


class Discrete:
    """Stands for gymnasium.spaces.Discrete, which works as well."""

    def __init__(self, n):
        self.n = n


class Dial:
    """48 positions in a circle. Each step turns the dial left, not at all, or right; where it clicks it pays 1."""
    positions, horizon = 48, 24
    observation_space, action_space = Discrete(positions), Discrete(3)

    def __init__(self, click):
        self.click = click

    def reset(self, seed=None):
        self.position = self.time = 0
        return self.position, {}

    def step(self, action):
        self.position = (self.position + action - 1) % self.positions
        self.time += 1
        return self.position, float(self.position == self.click), False, self.time == self.horizon, {}

    def best_return(self):
        """Turns the shorter way and stays there."""
        way = min(self.click, self.positions - self.click)
        return self.horizon - max(way - 1, 0)


class Explorer:
    """A source: turns right in one episode and left in the next until the dial clicks, then goes straight there. A share
    of its actions, drawn once, is random, so that a model that imitates it learns to recover."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.noise = self.random.uniform(0, 0.3)
        self.click, self.way = None, 2

    def act(self, position):
        if self.random.random() < self.noise:
            return self.random.randrange(3)
        if self.click is None:
            return self.way
        distance = (self.click - position) % Dial.positions
        return 1 if distance == 0 else 2 if distance <= Dial.positions // 2 else 0

    def learn(self, position, action, reward, next_position, terminated, truncated):
        if reward > 0:
            self.click = next_position
        if truncated:
            self.way = 2 - self.way
