"""A shop that sells one thing for USDT through a paybell hub; README.md says how to run it."""

import json, os, threading, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen
from standardwebhooks import Webhook, WebhookVerificationError

PAGE = (Path(__file__).parent / "index.html").read_bytes()
HUB = os.environ.get("HUB_URL", "http://127.0.0.1:5000")
KEY = os.environ.get("HUB_KEY")
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
orders, seen, lock = {}, set(), threading.Lock()  # a real shop: its database, with a unique column for the event id

def create_payment(order):
    fields = {"wallet": os.environ.get("WALLET", "demo"), "expected_amount_usdt": "3.00", "order_id": order,
              "callback_url": f"{SHOP}/webhook", "success_url": f"{SHOP}/?order={order}"}
    headers = {"content-type": "application/json", "idempotency-key": order} | ({"authorization": f"Bearer {KEY}"} if KEY else {})
    return json.load(urlopen(Request(f"{HUB}/v1/payments", json.dumps(fields).encode(), headers), timeout=30))

def happened(event):
    order = orders.get(event["order_id"])
    with lock:
        if order is None or event["id"] in seen:
            return
        seen.add(event["id"])
        if event["type"] == "payment.completed":
            order["sent"] += order["state"] == "open"  # once, also when a fork takes a payment back and brings it again
            order["state"] = "paid"
        elif event["type"] == "payment.reverted" and order["state"] == "paid":
            order["state"] = "lost"

class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0]
        order = orders.get(path.removeprefix("/orders/"))
        page = ("text/html; charset=utf-8", PAGE) if path == "/" else order and ("application/json", json.dumps(order).encode())
        self.answer(200, *page) if page else self.answer(404)

    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), 65536))
        try:
            if self.path == "/orders":
                order = {"order": str(uuid.uuid4()), "state": "open", "sent": 0}
                orders[order["order"]] = order  # known before the first webhook comes
                order["checkout_url"] = create_payment(order["order"])["checkout_url"]
                self.answer(201, "application/json", json.dumps(order).encode())
            elif self.path == "/webhook":
                happened(webhook.verify(body, dict(self.headers.items())))
                self.answer(204)
            else:
                self.answer(404)
        except (WebhookVerificationError, ValueError):  # the library lets its base64's ValueError through
            self.answer(401)
        except OSError:  # the hub cannot be reached, or refuses
            self.answer(502)

    def answer(self, status, kind="text/plain", body=b""):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Shop)
SHOP = os.environ.get("SHOP_URL", f"http://127.0.0.1:{server.server_port}")
print("shop", SHOP, flush=True)
server.serve_forever()
