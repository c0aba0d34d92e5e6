"""A script for the replaced service, in the way its own API examples are written: requests, numbers, nothing of ours."""

import sys
import time

import requests

API_BASE, CALLBACK = sys.argv[1], sys.argv[2]
WALLET = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"


def create(**changes):
    body = {
        "wallet_address": WALLET,
        "expected_amount_usdt": 7.25,
        "callback_url": CALLBACK,
        "order_id": f"ORDER_{time.time_ns()}",
    }
    body.update(changes)
    return requests.post(f"{API_BASE}/create_payment", json={k: v for k, v in body.items() if v is not ...})


health = requests.get(f"{API_BASE}/health").json()
assert health["status"] in ("healthy", "degraded"), health
assert isinstance(health["timestamp"], float) and isinstance(health["active_payments"], int), health
assert isinstance(health["total_payments"], int), health

stats = requests.get(f"{API_BASE}/stats").json()
for field in ("pending_payments", "completed_payments", "total_payments", "uptime_seconds", "polling_interval"):
    assert isinstance(stats[field], (int, float)), (field, stats)

response = create()
assert response.status_code == 201, response.text
created = response.json()
assert created["status"] == "watching", created
assert created["message"] == "Payment watch created successfully. Waiting for transaction.", created
assert abs(created["expires_at"] - time.time() - 86400) < 60, created

status = requests.get(f"{API_BASE}/payment_status/{created['payment_id']}").json()
assert status["wallet_address"] == WALLET and status["expected_amount_usdt"] == 7.25, status
assert status["status"] == "pending" and status["transaction_hash"] is None, status
assert status["received_amount_usdt"] is None and status["completed_at"] is None, status
assert abs(status["created_at"] - time.time()) < 60, status

missing = requests.get(f"{API_BASE}/payment_status/non-existent-id")
assert missing.status_code == 404 and missing.json()["error"] == "Payment ID not found", missing.text

for changes, words in [
    ({"wallet_address": "invalid_address"}, "Invalid TRON wallet address format"),
    ({"wallet_address": ..., "order_id": ...}, "Missing required fields"),
    ({"expected_amount_usdt": -5}, "expected_amount_usdt must be a positive number"),
    ({"expected_amount_usdt": "abc"}, "expected_amount_usdt must be a positive number"),
    ({"expected_amount_usdt": 0.001}, "expected_amount_usdt must be at least 0.01 USDT"),
    ({"expected_amount_usdt": 1000001}, "expected_amount_usdt cannot exceed 1,000,000 USDT"),
    ({"callback_url": "not-a-url"}, "Invalid callback URL format"),
    ({"order_id": "   "}, "order_id must be a non-empty string"),
    ({"order_id": "x" * 101}, "order_id cannot exceed 100 characters"),
]:
    response = create(**changes)
    assert response.status_code == 400, (changes, response.status_code, response.text)
    assert words in response.json()["error"], (changes, response.text)

duplicate = f"ORDER_{time.time_ns()}"
assert create(order_id=duplicate, expected_amount_usdt=8.01).status_code == 201
again = create(order_id=duplicate, expected_amount_usdt=8.02)
assert again.status_code == 409 and "order_id" in again.json()["error"], again.text

print(created["payment_id"])
