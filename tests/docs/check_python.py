# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Reads the history of examples/010_first_history with the Python of docs/python.md, and compares every step with the rules
# of its room and every return with what the example says: a byte that is read from a wrong place breaks one of them.
#   check_python.py BLOCKS FOLDER_OF_THE_EXAMPLE
import json
import sys

with open(sys.argv[1]) as blocks:
    exec(blocks.read())

side, goal = 9, (2, 6)
moves = [(0, 0), (-1, 0), (0, 1), (1, 0), (0, -1)]
with open(sys.argv[2] + "/summary.json") as file:
    summary = json.load(file)
histories = list(read_histories(sys.argv[2] + "/first.histories"))
assert len(histories) == 1
task, algorithm, ends, observations, actions, rewards = histories[0]
assert algorithm == "q_learning", algorithm
assert len(ends) == summary["episodes"] and len(rewards) == summary["steps"] == ends[-1]
assert list(returns_of(ends, rewards)) == summary["return_by_episode"]

first = 0
for e, end in enumerate(ends):
    assert tuple(observations[first + e]) == (side // 2, side // 2)
    for t in range(first, end):
        move = moves[actions[t, 0]]
        cell = tuple(min(max(int(observations[t + e, i]) + move[i], 0), side - 1) for i in (0, 1))
        assert tuple(observations[t + e + 1]) == cell, (e, t)
        assert rewards[t] == (cell == goal), (e, t)
    first = end
print(f"{len(rewards)} steps of {len(ends)} episodes are those of the room, and so are the returns")
