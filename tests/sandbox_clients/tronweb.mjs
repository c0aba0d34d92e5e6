// Drives a running sandbox with npm tronweb: node tronweb.mjs http://127.0.0.1:9090
// Needs a chain that mines by itself. Exits 0 when every step came out right.
import assert from 'node:assert/strict';
import { TronWeb, utils } from 'tronweb';

const base = process.argv[2];
// Publicly known: private key 1.
const privateKey = '0'.repeat(63) + '1';
const owner = 'TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC';
const shop = 'TX8qeDzWJ3ePxwajj18PGbcc7FwV1dhqt3';
const usdt = 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t';
const tronWeb = new TronWeb({ fullHost: base, privateKey });

async function until(what, probe, deadlineMs = 30_000) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert.ok(Date.now() < end, `no ${what} in time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

assert.equal(await tronWeb.fullNode.isConnected(), true);
const head = await tronWeb.trx.getCurrentBlock();
const height = head.block_header.raw_data.number;
assert.ok(height >= 40);
const solid = await tronWeb.trx.getConfirmedCurrentBlock();
assert.ok(solid.block_header.raw_data.number < height);
const byNumber = await tronWeb.trx.getBlockByNumber(height);
assert.equal(byNumber.blockID, head.blockID);
const byHash = await tronWeb.trx.getBlockByHash(head.blockID);
assert.equal(byHash.block_header.raw_data.number, height);
await assert.rejects(tronWeb.trx.getBlockByNumber(height + 1_000_000), /Block not found/);

const contract = await tronWeb.contract().at(usdt);
assert.equal(await contract.symbol().call(), 'USDT');
assert.equal(Number(await contract.decimals().call()), 6);
const before = BigInt(await contract.balanceOf(shop).call());
const mine = BigInt(await contract.balanceOf(owner).call());
assert.ok(mine > 1_000_000n);

const sent = await contract.transfer(shop, 1_250_000).send({ feeLimit: 100_000_000 });
const info = await until('receipt', async () => {
  const answer = await tronWeb.trx.getUnconfirmedTransactionInfo(sent);
  return answer.id && answer;
});
assert.equal(info.id, sent);
assert.equal(info.receipt.result, 'SUCCESS');
assert.equal(info.log.length, 1);
assert.equal(info.log[0].address, 'a614f803b6fd780986a42c78ec9c7f77e6ded13c');
assert.equal(BigInt('0x' + info.log[0].data), 1_250_000n);
assert.equal(BigInt(await contract.balanceOf(shop).call()), before + 1_250_000n);

const transaction = await tronWeb.trx.getTransaction(sent);
assert.equal(transaction.txID, sent);
assert.equal(utils.transaction.txCheck(transaction), true);
const signers = tronWeb.trx.ecRecover(transaction);
assert.equal(signers, owner);

// Every transaction of a whole block re-encodes to the id it goes by.
const full = await until('a busy block', async () => {
  const block = await tronWeb.trx.getBlockByNumber(info.blockNumber);
  return block.transactions && block;
});
for (const one of full.transactions) assert.equal(utils.transaction.txCheck(one), true);

const events = await tronWeb.event.getEventsByTransactionID(sent);
assert.equal(events.data.length, 1);
assert.equal(events.data[0].result.value, '1250000');
const ofContract = await tronWeb.event.getEventsByContractAddress(usdt, { eventName: 'Transfer', blockNumber: info.blockNumber });
assert.ok(ofContract.data.some((event) => event.transaction_id === sent));
const ofBlock = await tronWeb.event.getEventsByBlockNumber(info.blockNumber, { limit: 200 });
assert.ok(ofBlock.data.some((event) => event.transaction_id === sent));
assert.equal((await tronWeb.event.getEventsOfLatestBlock()).success, true);

// A call that must revert is accepted, mined, and reported as failed.
const { transaction: tooMuch } = await tronWeb.transactionBuilder.triggerSmartContract(
  usdt, 'transfer(address,uint256)', { feeLimit: 100_000_000 },
  [{ type: 'address', value: shop }, { type: 'uint256', value: (10n ** 15n).toString() }], owner);
const signed = await tronWeb.trx.sign(tooMuch);
assert.equal((await tronWeb.trx.sendRawTransaction(signed)).result, true);
const failed = await until('failed receipt', async () => {
  const answer = await tronWeb.trx.getUnconfirmedTransactionInfo(signed.txID);
  return answer.id && answer;
});
assert.equal(failed.result, 'FAILED');
assert.equal(failed.receipt.result, 'REVERT');
assert.equal(failed.log, undefined);

const again = await tronWeb.trx.sendRawTransaction(signed);
assert.equal(again.code, 'DUP_TRANSACTION_ERROR');
const forged = { ...(await tronWeb.trx.sign(await tronWeb.transactionBuilder.sendTrx(shop, 5, owner))) };
forged.signature = [signed.signature[0]];
assert.equal((await tronWeb.trx.sendRawTransaction(forged)).code, 'SIGERROR');

const trx = await tronWeb.trx.sendTransaction(shop, 7);
assert.equal(trx.result, true);
const paid = await until('TRX receipt', async () => {
  const answer = await tronWeb.trx.getUnconfirmedTransactionInfo(trx.txid ?? trx.transaction.txID);
  return answer.id && answer;
});
assert.equal(paid.receipt.result, undefined);
const confirmed = await until('solid receipt', async () => {
  const answer = await tronWeb.trx.getTransactionInfo(sent);
  return answer.id && answer;
}, 60_000);
assert.deepEqual(confirmed, info);
assert.ok((await tronWeb.trx.getAccount(owner)).balance > 0);
assert.ok((await tronWeb.trx.getChainParameters()).length > 0);
assert.ok((await tronWeb.trx.getNodeInfo()).block.startsWith('Num:'));
console.log('tronweb: ok');
