"""Drives a running sandbox with PyPI tronpy: python tronpy_client.py http://127.0.0.1:9090

Needs a chain that mines by itself. Exits 0 when every step came out right.
"""

import sys

from tronpy import Tron
from tronpy.exceptions import BadSignature, BlockNotFound, TransactionNotFound, TvmError
from tronpy.keys import PrivateKey
from tronpy.providers import HTTPProvider

OWNER = "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"  # private key 1, publicly known
SHOP = "TX8qeDzWJ3ePxwajj18PGbcc7FwV1dhqt3"
USDT = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
FEE_LIMIT_SUN = 100_000_000

client = Tron(HTTPProvider(sys.argv[1] + "/"))
key = PrivateKey(bytes(31) + b"\x01")
assert key.public_key.to_base58check_address() == OWNER

head = client.get_latest_block_number()
assert head >= 40 and client.get_latest_solid_block_number() < head
block = client.get_block(head)
assert block["block_header"]["raw_data"]["number"] == head
assert client.get_block(block["blockID"]) == block
assert block["block_header"]["raw_data"]["witness_address"].startswith("T")
try:
    client.get_block(head + 1_000_000)
    raise AssertionError("a block of the future was found")
except BlockNotFound:
    pass
try:
    client.get_transaction_info("ab" * 32)
    raise AssertionError("an unknown transaction was found")
except TransactionNotFound:
    pass

contract = client.get_contract(USDT)
assert contract.name == "TetherToken"
assert contract.functions.symbol() == "USDT"
assert contract.functions.decimals() == 6
before = contract.functions.balanceOf(SHOP)
assert contract.functions.balanceOf(OWNER) > 0


def transfer(amount):
    built = contract.functions.transfer(SHOP, amount).with_owner(OWNER).fee_limit(FEE_LIMIT_SUN).build()
    return built.sign(key).broadcast()


sent = transfer(2_500_000)
info = sent.wait(timeout=30, interval=0.05)
assert info["receipt"]["result"] == "SUCCESS"
assert info["log"][0]["address"] == USDT
assert int(info["log"][0]["data"], 16) == 2_500_000
assert contract.functions.balanceOf(SHOP) == before + 2_500_000
assert client.get_transaction(sent.txid)["txID"] == sent.txid

try:
    transfer(10**15).result(timeout=30, interval=0.05)
    raise AssertionError("an unfunded transfer succeeded")
except TvmError as error:
    assert "REVERT" in str(error), error

unsigned = client.trx.transfer(OWNER, SHOP, 11).build()
unsigned.set_signature([key.sign_msg(b"something else").hex()])
try:
    unsigned.broadcast()
    raise AssertionError("a forged signature was accepted")
except BadSignature:
    pass
paid = client.trx.transfer(OWNER, SHOP, 11).build().sign(key).broadcast().wait(timeout=30, interval=0.05)
assert "result" not in paid["receipt"]
assert client.get_account_balance(OWNER) > 0

solid = sent.wait(timeout=60, interval=0.1, solid=True)
assert solid == info
print("tronpy: ok")
