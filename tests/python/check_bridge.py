# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
"""Whether examples/python/bridge.py keeps what it promises: check_bridge.py EXAMPLES LIBRARY FOLDER"""
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import bridge  # noqa: E402
from dial import Dial, Discrete, Explorer  # noqa: E402

bridge.load(sys.argv[2])
folder = pathlib.Path(sys.argv[3])


def refused(text, action):
    try:
        action()
    except bridge.Error as error:
        assert text in str(error), f"says \"{error}\", not \"{text}\""
    else:
        raise AssertionError(f"nothing was refused, \"{text}\" was expected")


class Box:
    def __init__(self, low, high):
        self.low, self.high, self.shape = low, high, (len(low),)


class MultiDiscrete:
    nvec = [3, 2]


class Lever:
    """Spaces other than ids: pays for pulling with the strength that the first of two lamps shows."""
    observation_space, action_space = MultiDiscrete(), Box([-1.0], [1.0])

    def reset(self, seed=None):
        return [1, 0], {}

    def step(self, action):
        return [2, 1], 1.0 - abs(action[0]), True, False, {}


class Puller:
    """A source in Python."""

    def __init__(self):
        self.lived = []

    def act(self, observation):
        return [0.25]

    def learn(self, *transition):
        self.lived.append(transition)


# The oracle of the task, by trying all that makes sense: so many steps one way, then none.
for click in range(Dial.positions):
    best = 0.0
    for way in (0, 2):
        for count in range(Dial.horizon + 1):
            dial = Dial(click)
            dial.reset()
            best = max(best, sum(dial.step(way if t < count else 1)[1] for t in range(Dial.horizon)))
    assert best == dial.best_return(), (click, best, dial.best_return())

file = folder / "levers.icrl"
puller = Puller()
assert bridge.record(file, Lever(), 7, puller, 3) == [0.75] * 3
assert puller.lived == [([1, 0], [0.25], 0.75, [2, 1], True, False)] * 3
bridge.distil(file, folder / "lever.safetensors", context=4, updates=2, width=8, layers=1)
agent = bridge.Agent(folder / "lever.safetensors", Lever(), seed=3)
again = bridge.Agent(folder / "lever.safetensors", Lever(), seed=3)
assert bridge.run(agent, Lever(), 5) == bridge.run(again, Lever(), 5)
first = agent.act([1, 0])
assert len(first) == 1 and -1 <= first[0] <= 1

explorer = Explorer(seed=1)
explorer.noise = 0
assert bridge.run(explorer, Dial(40), 3) == [0, 17, 17], "right, left until the click, straight there"

source = bridge.Source(Dial(2), 60, seed=1)
returns = bridge.run(source, Dial(2), 60)
assert sum(returns[-5:]) > sum(returns[:5]), returns
source.reset()
assert sum(bridge.run(source, Dial(2), 5)) < sum(returns[-5:])

# What is wrong is said, and nothing breaks.
refused("Q-learning", lambda: bridge.Source(Lever(), 10, 1))
refused("observations", lambda: bridge.Agent(folder / "lever.safetensors", Dial(0)))
refused("no_model", lambda: bridge.Agent(folder / "no_model", Dial(0)))
refused("observation", lambda: source.act(Dial.positions))
refused("call learn()", lambda: agent.act([1, 0]))
refused("reward", lambda: agent.learn([1, 0], first, float("nan"), [2, 1], True, False))
refused("begin_episode", lambda: bridge.Recorder(Dial(0), 0, "none").step(1, 0.0, 3, False, False))
refused("3 numbers", lambda: agent.act([1, 0, 0]))
refused("1 numbers", lambda: bridge.Recorder(Lever(), 0, "none").first([1]))
refused("one-dimensional", lambda: bridge._space_json(Box([[0.0]], [[1.0]])))
refused("none.icrl", lambda: bridge.distil(folder / "none.icrl", folder / "none", context=4))
refused("width", lambda: bridge.distil(file, folder / "none", context=4, width=7))


written = bridge.Recorder(Lever(), 0, "none")
written.first([1, 0])
written.step([0.5], 1.0, [2, 1], True, False)
written.write(folder / "once.icrl")
refused("once", lambda: written.write(folder / "once.icrl"))


class Free(Lever):
    """Has no bounds, and says that it is over by what only counts as true."""
    action_space = Box([float("-inf")], [float("inf")])

    def step(self, action):
        return [2, 1], 0.0, "yes", "", {}


assert bridge.record(folder / "free.icrl", Free(), 0, Puller(), 2) == [0.0, 0.0]
# The loss of continuous actions falls below 0 where the model is sure of them.
assert bridge.distil(file, folder / "sure.safetensors", context=4, updates=300, width=8, layers=1) < 0


class Binary(Discrete):
    shape = (3,)


refused("MultiDiscrete", lambda: bridge._space_json(Binary(3)))


class Late(Dial):
    observation_space = Discrete(3)
    observation_space.start = 1


refused("begins at 1", lambda: bridge.Source(Late(0), 10, 1))
print("the bridge keeps its promises")
