"""Validates instances against the schemas that a document holds; reads a list of cases from stdin, writes what is wrong.

A case is {"document": ..., "pointer": "/components/...", "instance": ...}.
"""

import json
import sys

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

BASE = "https://paybell.test/document.json"


def mistakes(case):
    if case.get("pointer") is None:
        validator = validator_for(case["document"])(case["document"])
        return validator.iter_errors(case["instance"])
    resource = Resource(contents=case["document"], specification=DRAFT202012)
    registry = Registry().with_resource(BASE, resource)
    schema = {"$ref": f"{BASE}#{case['pointer']}"}
    validator = Draft202012Validator(schema, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return validator.iter_errors(case["instance"])


cases = json.load(sys.stdin)
found = [
    {"case": number, "path": error.json_path, "message": error.message[:300]}
    for number, case in enumerate(cases)
    for error in mistakes(case)
]
json.dump(found, sys.stdout)
