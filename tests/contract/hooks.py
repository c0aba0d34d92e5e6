"""What schemathesis must know of the hub under test: ids that exist, and data that only the hub can judge.

A schema cannot say that an address's checksum is right, or that an order is new. Requests that are meant to succeed are
given such data here; requests that are meant to be refused stay as they were generated.
"""

import itertools
import json
import os

import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

SEEDS = json.loads(os.environ["PAYBELL_SEEDS"])
FORMATS = [
    "tron-address", "wallet-name", "chain-name", "uri", "webhook-secret", "epoch", "last-event-id", "transfer-id",
    "transfer-place", "delivery-id", "endpoint-id", "endpoint-or-callbacks", "key-id", "uuid",
]
CREATES = {"createPayment", "createPaymentClassic"}
NUMBERS = itertools.count(1)

for name in FORMATS:
    schemathesis.openapi.format(name, st.sampled_from(SEEDS[name]))
schemathesis.openapi.format("tolerance", st.integers(0, 9999).map(str))


def operation_id(case):
    return case.operation.definition.raw.get("operationId")


def is_meant_well(case):
    return case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE


@schemathesis.hook
def before_call(context, case, **kwargs):
    spare_what_others_need(case)
    if is_meant_well(case):
        make_new(case)


def spare_what_others_need(case):
    """The run's own key and the endpoint of its tests must not be ended by it."""
    spare = SEEDS["spare"].get(operation_id(case))
    if spare and case.path_parameters and case.path_parameters.get("id") == spare["kept"]:
        case.path_parameters["id"] = spare["instead"]
    # With a second admin key the run could revoke its own.
    if operation_id(case) == "createKey" and isinstance(case.body, dict) and case.body.get("scope") == "admin":
        case.body["scope"] = "write"


def make_new(case):
    """No two payments of one order or amount, no key that stands for another request, no waiting."""
    number, body = next(NUMBERS), case.body if isinstance(case.body, dict) else {}
    name = operation_id(case)
    if isinstance(case.query, dict) and "wait" in case.query:
        case.query["wait"] = 0
    if name in CREATES:
        body["order_id"] = f"RUN_{number}"
        amount = f"{20 + number // 1000}.{number % 1000:03}"
        body["expected_amount_usdt"] = amount if isinstance(body.get("expected_amount_usdt"), str) else float(amount)
        if case.headers and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = f"run-{number}"
    if name == "createKey":
        body["name"] = f"key {number}"
    if name == "recoverEndpoint" and body.get("until") is not None:
        # A span that begins after its end is refused, which no schema can tell.
        del body["until"]
