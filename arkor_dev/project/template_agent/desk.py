"""A parcel desk: the environment in which the agent acts, and the desk clerk who wrote its first rows.

`python desk.py` writes the files in data/ again; change the desk, then run it.
"""

import json
import random

STATUSES = ("on its way", "delivered", "lost")
CASES = (
    *[("where", STATUSES)] * 2,
    *[("move", STATUSES[:1])] * 3,
    ("move", STATUSES[1:]),
    *[("money", STATUSES[2:])] * 3,
    ("money", STATUSES[:2]),
)
"""Tasks with statuses. A clerk acts for most of those who ask for it: rows in which as many are refused teach
a small model to act for none.
"""
TOWNS = ("Bremen", "Lyon", "Turin", "Porto", "Ghent", "Graz", "Malmo", "Cork")
STREETS = ("Oak Street", "Mill Lane", "Park Road", "Hill Street", "Lake Road", "Church Lane")
WHERE = ("Where is parcel {parcel}?", "Has parcel {parcel} arrived?", "What about my parcel {parcel}?")
MOVE = (
    "Please send parcel {parcel} to {address}.",
    "I have moved. Parcel {parcel} should go to {address}.",
    "Can parcel {parcel} go to {address} instead?",
)
MONEY = (
    "I want my money back for parcel {parcel}.",
    "Please refund parcel {parcel}.",
    "Parcel {parcel} never came. What about a refund?",
)


def tool(name, description, **parameters):
    """Return a tool in OpenAI's form; every parameter is required."""
    schema = {"type": "object", "properties": parameters, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


PARCEL = {"type": "string"}
TOOLS = [
    tool("look_up", "Status, town and price of a parcel.", parcel=PARCEL),
    tool("change_address", "For a parcel on its way.", parcel=PARCEL, address={"type": "string"}),
    tool("refund", "The price of a lost parcel.", parcel=PARCEL, amount={"type": "integer"}),
]


class Desk:
    """One customer at the desk. Only parcels on their way can be redirected, only lost ones are refunded."""

    tools = TOOLS

    def reset(self, row):
        """Begin an episode; ``row`` is a line of data/requests.jsonl."""
        self.row = row
        self.looked_up = False
        self.actions = []

    def step(self, call):
        """Do what the agent calls, and return the tool's text."""
        name, arguments = call["name"], call["arguments"]
        if arguments["parcel"] != self.row["parcel"]:
            return "There is no such parcel."
        if name == "look_up":
            self.looked_up = True
            return f"{self.row['status']}, {self.row['town']}, {self.row['price']} euros"
        self.actions.append([name, arguments.get("address", arguments.get("amount"))])
        return "Done."

    def reward(self, answer):
        """Return 1 if the customer got what the rules allow, and was told the truth; else 0."""
        return float(self.looked_up and self.actions == wanted(self.row) and fact(self.row) in answer)


def wanted(row):
    """Return what a clerk does for a request, as a list of the tool's name and its argument."""
    if row["task"] == "move" and row["status"] == "on its way":
        return [["change_address", row["address"]]]
    if row["task"] == "money" and row["status"] == "lost":
        return [["refund", int(row["price"])]]
    return []


def fact(row):
    """Return what the answer must tell: the new address, the amount, or where the parcel is."""
    if wanted(row):
        return row["address"] if row["task"] == "move" else str(row["price"])
    return row["town"]


def said(row):
    """Return what a clerk says in the end."""
    parcel, status = row["parcel"], row["status"]
    if wanted(row):
        return (
            f"Parcel {parcel} now goes to {row['address']}"
            if row["task"] == "move"
            else (f"You get back {row['price']} euros for parcel {parcel}")
        )
    return f"Parcel {parcel} is {status}, last seen in {row['town']}"


def request(seed):
    """Return a row of data/requests.jsonl; the same for the same ``seed``."""
    of = random.Random(seed)
    task, statuses = of.choice(CASES)
    row = {
        "parcel": str(of.randrange(1000, 10_000)),
        "task": task,
        "status": of.choice(statuses),
        "town": of.choice(TOWNS),
        "price": of.randrange(5, 100),
        "address": f"{of.randrange(1, 100)} {of.choice(STREETS)}",
    }
    text = of.choice({"where": WHERE, "move": MOVE, "money": MONEY}[task])
    return {"prompt": text.format(**row), **row}


def example(seed):
    """Return a row of data/calls.jsonl: a clerk's conversation, from which the agent learns to call tools."""
    row = request(seed)
    desk = Desk()
    desk.reset(row)
    messages = [{"role": "user", "content": row["prompt"]}]
    for name, value in [("look_up", None), *wanted(row)]:
        arguments = {"parcel": row["parcel"]}
        if value is not None:
            arguments["address" if name == "change_address" else "amount"] = value
        call = {"name": name, "arguments": arguments}
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]},
            {"role": "tool", "content": desk.step(call)},
        ]
    return {"messages": [*messages, {"role": "assistant", "content": said(row) + "."}], "tools": TOOLS}


def decision(seed):
    """Return a row of data/check.jsonl: a conversation up to what the clerk does after looking up."""
    row = example(seed)
    return {**row, "messages": row["messages"][:4]}


if __name__ == "__main__":
    for name, make, seeds in (
        ("calls", example, range(160)),
        ("requests", request, range(1000, 1200)),
        ("unseen", request, range(2000, 2040)),
        ("check", decision, range(3000, 3030)),
    ):
        with open(f"data/{name}.jsonl", "w") as file:
            file.writelines(json.dumps(make(seed)) + "\n" for seed in seeds)
