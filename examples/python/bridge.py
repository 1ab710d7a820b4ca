# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
"""The C interface of bridge.cpp for Python, without a package: Source, Agent, run, record, distil.

A task is a class with Gymnasium's reset(seed=...) and step(action), and the attributes observation_space and
action_space. Spaces are Gymnasium's Discrete and MultiDiscrete from 0 and one-dimensional Box, or anything with their
attribute n or nvec, or low and high. Nothing here imports gymnasium or numpy.
"""
import ctypes
import json
import math
import os


class Error(RuntimeError):
    """What the library refuses, with its text."""


def load(path):
    """Loads the shared library made from bridge.cpp, and tests that its arithmetic is right on this machine."""
    global _library
    _library = ctypes.CDLL(os.path.abspath(path))
    numbers, text, handle = ctypes.POINTER(ctypes.c_float), ctypes.c_char_p, ctypes.c_void_p
    integer, real, seed = ctypes.c_int, ctypes.c_float, ctypes.c_uint64
    for name, result, arguments in [
            ("error", text, []), ("self_test", integer, []),
            ("source", handle, [text, text, integer, seed]), ("agent", handle, [text, text, text, ctypes.c_double, seed]),
            ("act", integer, [handle, numbers, numbers]),
            ("learn", integer, [handle, numbers, numbers, real, numbers, integer, integer]),
            ("reset", integer, [handle]), ("free_actor", None, [handle]),
            ("recorder", handle, [text, text, ctypes.c_int64, text]), ("record_first", integer, [handle, numbers]),
            ("record", integer, [handle, numbers, real, numbers, integer, integer]),
            ("write", integer, [handle, text]), ("free_recorder", None, [handle]),
            ("distil", integer, [text, text] + [integer] * 6 + [seed, ctypes.POINTER(ctypes.c_double)])]:
        function = getattr(_library, "bridge_" + name)
        function.restype, function.argtypes = result, arguments
    _checked(_library.bridge_self_test())


def _checked(result):
    if result is None or result < 0:
        raise Error(_library.bridge_error().decode())
    return result


def _space_json(space):
    if hasattr(space, "n"):
        if getattr(space, "shape", ()) != ():
            raise Error(f"{space} has n but is not Discrete; MultiDiscrete([2] * n) is the same as a MultiBinary")
        if getattr(space, "start", 0) != 0:
            raise Error(f"ids begin at 0, the space {space} begins at {space.start}")
        return json.dumps({"discrete": int(space.n)}).encode()
    if hasattr(space, "nvec"):
        start = getattr(space, "start", None)
        if start is not None and any(list(start)):
            raise Error(f"ids begin at 0, the space {space} begins at {list(start)}")
        return json.dumps({"multi_discrete": [int(n) for n in space.nvec]}).encode()
    if any(hasattr(x, "__len__") for x in space.low):
        raise Error(f"a box must be one-dimensional, flatten {space}")

    def bounds(numbers):  # JSON has no infinity: the library reads "inf" and "-inf"
        return [x if math.isfinite(x) else str(x) for x in map(float, numbers)]

    return json.dumps({"box": {"low": bounds(space.low), "high": bounds(space.high)}}).encode()


class _Values:
    """Observations or actions as the floats that the library reads and writes."""

    def __init__(self, space):
        self.is_id = hasattr(space, "n")
        self.whole = self.is_id or hasattr(space, "nvec")
        self.size = 1 if self.is_id else len(space.nvec if self.whole else space.low)
        self.type = ctypes.c_float * self.size

    def floats(self, value):
        if self.is_id:
            return self.type(value)
        if len(value) != self.size:
            raise Error(f"{value} has {len(value)} numbers, its space has {self.size}")
        return self.type(*value)

    def value(self, floats):
        if self.is_id:
            return int(floats[0])
        return [int(x) for x in floats] if self.whole else list(floats)


class _Actor:
    def __init__(self, handle, task):
        self._handle = _checked(handle)
        self._observations, self._actions = _Values(task.observation_space), _Values(task.action_space)

    def act(self, observation):
        action = self._actions.type()
        _checked(_library.bridge_act(self._handle, self._observations.floats(observation), action))
        return self._actions.value(action)

    def learn(self, observation, action, reward, next_observation, terminated, truncated):
        _checked(_library.bridge_learn(self._handle, self._observations.floats(observation),
                                       self._actions.floats(action), reward,
                                       self._observations.floats(next_observation), bool(terminated),
                                       bool(truncated)))

    def reset(self):
        """Forgets everything, for a new task."""
        _checked(_library.bridge_reset(self._handle))

    def __del__(self):
        if getattr(self, "_handle", None):
            _library.bridge_free_actor(self._handle)


class Source(_Actor):
    """Q-learning, whose random actions become rarer over `episodes`. Observations and actions are ids."""

    def __init__(self, task, episodes, seed):
        super().__init__(_library.bridge_source(_space_json(task.observation_space), _space_json(task.action_space),
                                                episodes, seed), task)


class Agent(_Actor):
    """A frozen model that learns while it acts. The task must have the spaces that the model was trained for."""

    def __init__(self, path, task, temperature=0.7, seed=1):
        super().__init__(_library.bridge_agent(os.fsencode(path), _space_json(task.observation_space),
                                               _space_json(task.action_space), temperature, seed), task)


class Recorder:
    """The history of one source on one task, from its first episode to its last."""

    def __init__(self, task, number, algorithm):
        self._observations, self._actions = _Values(task.observation_space), _Values(task.action_space)
        self._handle = _checked(_library.bridge_recorder(
            _space_json(task.observation_space), _space_json(task.action_space), number, algorithm.encode()))

    def first(self, observation):
        """An episode begins."""
        _checked(_library.bridge_record_first(self._handle, self._observations.floats(observation)))

    def step(self, action, reward, next_observation, terminated, truncated):
        _checked(_library.bridge_record(self._handle, self._actions.floats(action), reward,
                                        self._observations.floats(next_observation), bool(terminated),
                                        bool(truncated)))

    def write(self, path):
        """Appends the episodes that have ended to a file of histories; once, when the source has finished."""
        _checked(_library.bridge_write(self._handle, os.fsencode(path)))

    def __del__(self):
        if getattr(self, "_handle", None):
            _library.bridge_free_recorder(self._handle)


def run(actor, task, episodes, seed=0, recorder=None):
    """Lets an actor live that many episodes, and returns their returns. An actor is anything with act(observation) and
    learn(observation, action, reward, next_observation, terminated, truncated): a Source, an Agent, or a class of
    yours. Episode e begins with task.reset(seed=seed + e). Where a task is random, give each history seeds of its own:
    with the same ones all begin alike, and a model learns that by heart."""
    returns = []
    for episode in range(episodes):
        observation, _ = task.reset(seed=seed + episode)
        total, over = 0.0, False
        if recorder:
            recorder.first(observation)
        while not over:
            action = actor.act(observation)
            seen, reward, terminated, truncated, _ = task.step(action)
            if recorder:
                recorder.step(action, reward, seen, terminated, truncated)
            actor.learn(observation, action, reward, seen, terminated, truncated)
            observation, total, over = seen, total + reward, terminated or truncated
        returns.append(total)
    return returns


def record(path, task, number, actor, episodes, seed=0):
    """As run, and appends the episodes to a file of histories as one history of task `number`. Returns their returns."""
    recorder = Recorder(task, number, type(actor).__name__)
    returns = run(actor, task, episodes, seed, recorder)
    recorder.write(path)
    return returns


def distil(histories, model, context, subsample=1, width=32, layers=3, updates=600, threads=2, seed=1):
    """Trains a model on a file of histories, and saves it. Returns the last loss."""
    loss = ctypes.c_double()
    _checked(_library.bridge_distil(os.fsencode(histories), os.fsencode(model), context, subsample, width, layers,
                                    updates, threads, seed, ctypes.byref(loss)))
    return loss.value
