"""What the steps of run.py share: the deployed stack, its receivers, and the list of steps."""

import base64
import json
import os
import subprocess

from front_door import FrontDoor

STEPS = []


def step(function):
    STEPS.append(function)
    return function


class World:
    def __init__(self, emulator, stack, receiver, command):
        self.emulator, self.stack, self.receiver, self.command = emulator, stack, receiver, command
        self.door = FrontDoor(emulator)
        self.sqs, self.s3, self.sns = (emulator.client(name) for name in ("sqs", "s3", "sns"))
        self.got = {}

    def user_queue(self, name, stack=None):
        return self.sqs.get_queue_url(QueueName=(stack or self.stack).outputs["QueuePrefix"] + name)["QueueUrl"]

    def drain(self, name, stack=None):
        """Everything a queue has held so far, as a consumer sees it."""
        url = self.user_queue(name, stack)
        held = self.got.setdefault(url, [])
        while True:
            messages = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            if not messages:
                return held
            for message in messages:
                held.append(message["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def keys(self, name, stack=None):
        return [oss(body)["oss"]["object"]["key"] for body in self.drain(name, stack)]

    def rule(self, name, prefix, endpoints, types=("ObjectCreated:*",), action="CreateEventRule", product="oss"):
        endpoints = [{"EndpointType": kind, "EndpointValue": value} for kind, value in endpoints]
        match = {"MatchRules": [[{"Prefix": prefix}]]} if prefix else {}
        return self.stack.act(action, ProductName=product, RuleName=name, EventTypes=list(types), Endpoints=endpoints, **match)

    def put(self, key, body=b"x"):
        self.s3.put_object(Bucket="photos", Key=key, Body=body)

    def environment(self):
        """Of the command: AWS is the emulator, and CloudFormation tells of function URLs that can be reached."""
        nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        return {"PATH": os.environ["PATH"], **self.emulator.environment, **nowhere, "AWS_ENDPOINT_URL_CLOUDFORMATION": self.door.url}

    def carillon(self, *arguments, status=0, given=None):
        """Runs the command, wants this exit status, and gives what it printed."""
        done = subprocess.run([self.command, *arguments], env=self.environment(), input=given, capture_output=True, text=True, timeout=120)
        text = done.stdout + done.stderr
        assert done.returncode == status, f"carillon {' '.join(arguments)} ended with {done.returncode}: {text}"
        return done.stdout if status == 0 else text


def oss(body):
    return json.loads(base64.b64decode(body))["events"][0]


def dead(world, rule):
    data = world.stack.act("ListDeadLetters", RuleName=rule)
    return next((value for value in data.values() if isinstance(value, list)), [])
