"""Verifies webhooks with the official Python library: JSON on stdin, {"secret", "hooks": [{"headers", "body"}]}."""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

given = json.load(sys.stdin)
webhook = Webhook(given["secret"])
verified = 0
for hook in given["hooks"]:
    webhook.verify(hook["body"], hook["headers"])
    try:
        webhook.verify(hook["body"] + " ", hook["headers"])
    except WebhookVerificationError:
        verified += 1
print(verified, "verified")
