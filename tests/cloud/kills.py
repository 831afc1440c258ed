"""Step of run.py: functions that die while events flow."""

import random
import threading
import time

from stack import kill, wait_for
from world import step

EVENTS = 200
STAGES = ("IngestFunction", "MatchFunction", "DeliverFunction")
# A message that came five times (maxReceiveCount) would be given up: fewer kills than that cannot use one up.
KILLS = 4


class Killer(threading.Thread):
    """Ends one process of each stage after another, some time after it was seen, until each had its number."""

    def __init__(self, emulator):
        super().__init__(daemon=True)
        self.emulator = emulator
        self.killed = dict.fromkeys(STAGES, 0)
        self.stop = threading.Event()

    def run(self):
        while not self.stop.is_set() and min(self.killed.values()) < KILLS:
            for stage in STAGES:
                found = [pid for pid, name in self.emulator.functions().items() if stage in name]
                if found and self.killed[stage] < KILLS:
                    # Anywhere in its work: while it starts, asks, sends, or waits for more.
                    time.sleep(random.uniform(0, 0.3))
                    kill(random.choice(found))
                    self.killed[stage] += 1
            self.stop.wait(0.3)


@step
def killing_functions_at_any_point_loses_nothing(world):
    world.rule("many", "photos/many/", [("queue", "letters"), ("http", world.receiver.url + "/many")])
    # A batch whose function died comes again after the visibility timeout: minutes by the template, seconds here.
    stages = [url for url in world.sqs.list_queues(QueueNamePrefix=world.stack.name + "-")["QueueUrls"]]
    for url in stages:
        if any(name in url for name in ("IngestQueue", "MatchQueue", "DeliverQueue")):
            world.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "10"})
    # A receiver that takes its time, so that pushes are under way when their function dies.
    world.receiver.delay = 0.05
    killer = Killer(world.emulator)
    killer.start()
    sent = 0
    # At least so many, and on until every stage was hit often enough.
    while sent < EVENTS or (killer.is_alive() and sent < 5 * EVENTS):
        world.put(f"many/{sent:04}")
        sent += 1
    killer.stop.set()
    killer.join()
    world.receiver.delay = 0
    expected = {f"many/{number:04}" for number in range(sent)}
    wait_for(lambda: set(world.keys("letters")) >= expected, 300, "all events at the queue")
    wait_for(lambda: len(set(world.receiver.ids("/many"))) == sent, 300, "all events at the HTTP endpoint")
    assert min(killer.killed.values()) >= KILLS, killer.killed
    # And none of it was given up on the way.
    for url in stages:
        if "Failed" in url:
            held = world.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            assert held["ApproximateNumberOfMessages"] == "0", held
    # The control plane too comes back by itself.
    for pid, name in world.emulator.functions().items():
        if "ManageFunction" in name:
            kill(pid)
    wait_for(lambda: world.stack.act("ListEventRules", ProductName="oss")["Total"] > 0, 60, "the control plane")
    counts = ", ".join(f"{stage.removesuffix('Function').lower()} {count}" for stage, count in killer.killed.items())
    copies = len(world.keys("letters")) - sent, len(world.receiver.ids("/many")) - sent
    print(f"    processes killed: {counts}; {sent} of {sent} events at both endpoints, {copies[0]} and {copies[1]} copies", flush=True)
