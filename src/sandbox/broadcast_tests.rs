//! Tests of building, signing and broadcasting, code by code.

use super::*;
use crate::sandbox::chain::ChainOptions;
use crate::sandbox::contracts::USDT;
use crate::sandbox::counts::Counts;
use crate::sandbox::keys::Keypair;
use crate::sandbox::ops::Op;
use crate::sandbox::state::Token;

const NOW: u64 = 1_800_000_000_000;
const SHOP: Address = Address::from_bytes([7; 20]);

fn chain() -> Chain {
    Chain::new(
        ChainOptions {
            block_ms: 3000,
            seed: 1,
            noise_per_block: 1,
            kept_blocks: 100,
        },
        40,
        NOW,
    )
}

fn ask(chain: &mut Chain, op: Op, body: &Value) -> Value {
    let mut counts = Counts::default();
    let mut node = Node {
        chain,
        counts: &mut counts,
        hit: None,
        now_ms: NOW,
    };
    let params = Params::from_body(body.to_string().as_bytes()).expect("an object");
    op.answer(&mut node, &params)
        .unwrap_or_else(|error| error.to_json())
}

fn built(chain: &mut Chain, amount: u128) -> Value {
    let answer = ask(
        chain,
        Op::BuildCall,
        &json!({
            "owner_address": AddressForm::Hex.show(chain.actors.test.address()),
            "contract_address": AddressForm::Hex.show(USDT),
            "function_selector": "transfer(address,uint256)",
            "parameter": format!("{:0>64}{amount:064x}", hex::encode(SHOP.as_bytes())),
            "fee_limit": 100_000_000,
        }),
    );
    assert_eq!(answer["result"], json!({"result": true}), "{answer}");
    answer["transaction"].clone()
}

fn sign(transaction: &mut Value, key: &Keypair) {
    let id = TxId::from_hex(transaction["txID"].as_str().expect("text")).expect("an id");
    transaction["signature"] = json!([hex::encode(key.sign(&id.0))]);
}

/// Encodes a changed transaction anew and signs it.
fn resign(transaction: &mut Value, key: &Keypair) {
    let params = Params::from_body(transaction.to_string().as_bytes()).expect("an object");
    let packed = pack::transaction(&params).expect("a transaction");
    transaction["txID"] = packed.id.to_string().into();
    sign(transaction, key);
}

fn refusal(answer: &Value) -> (String, String) {
    let message = hex::decode(answer["message"].as_str().unwrap_or_default()).unwrap_or_default();
    let code = answer["code"].as_str().unwrap_or_default().to_owned();
    (code, String::from_utf8_lossy(&message).into_owned())
}

#[test]
fn a_signed_transfer_lands_in_the_next_block() {
    let mut chain = chain();
    let key = chain.actors.test.clone();
    let mut transaction = built(&mut chain, 1_250_000);
    let unsigned = ask(&mut chain, Op::SignWeight, &transaction);
    assert_eq!(unsigned["result"]["code"], "NOT_ENOUGH_PERMISSION");
    assert_eq!(
        unsigned["transaction"]["transaction"]["txID"],
        transaction["txID"]
    );
    sign(&mut transaction, &key);
    let weighed = ask(&mut chain, Op::SignWeight, &transaction);
    assert_eq!(
        (&weighed["result"], &weighed["current_weight"]),
        (&json!({}), &json!(1))
    );
    let answer = ask(&mut chain, Op::Broadcast, &transaction);
    assert_eq!(answer, json!({"result": true, "txid": transaction["txID"]}));
    let again = ask(&mut chain, Op::Broadcast, &transaction);
    assert_eq!(again["code"], "DUP_TRANSACTION_ERROR");
    chain.produce(chain.next_time(NOW));
    assert_eq!(chain.state.get(Slot::Balance(Token::Usdt, SHOP)), 1_250_000);
    assert_eq!(
        ask(&mut chain, Op::Broadcast, &transaction)["code"],
        "DUP_TRANSACTION_ERROR"
    );
}

type Spoil<'a> = Box<dyn Fn(&mut Value) + 'a>;

#[test]
fn what_may_not_pass_is_refused_by_its_code() {
    let mut chain = chain();
    let key = chain.actors.test.clone();
    let stranger = chain.actors.collector.clone();
    let fresh = built(&mut chain, 1);
    let cases: Vec<(&str, Spoil<'_>)> = vec![
        ("SIGERROR", Box::new(|_| {})),
        ("SIGERROR", Box::new(|tx| sign(tx, &stranger))),
        ("SIGERROR", Box::new(|tx| tx["signature"] = json!(["00"]))),
        (
            "SIGERROR",
            Box::new(|tx| {
                sign(tx, &key);
                tx["raw_data"]["fee_limit"] = 1.into();
            }),
        ),
        (
            "SIGERROR",
            Box::new(|tx| tx["signature"] = json!(["00", "00"])),
        ),
        (
            "TAPOS_ERROR",
            Box::new(|tx| {
                tx["raw_data"]["ref_block_hash"] = "0011223344556677".into();
                resign(tx, &key);
            }),
        ),
        (
            "TAPOS_ERROR",
            Box::new(|tx| {
                tx["raw_data"]["ref_block_bytes"] = "ffff".into();
                resign(tx, &key);
            }),
        ),
        (
            "TAPOS_ERROR",
            Box::new(|tx| {
                tx["raw_data"]["ref_block_bytes"] = "".into();
                resign(tx, &key);
            }),
        ),
        (
            "TRANSACTION_EXPIRATION_ERROR",
            Box::new(|tx| {
                tx["raw_data"]["expiration"] = NOW.into();
                resign(tx, &key);
            }),
        ),
        (
            "TRANSACTION_EXPIRATION_ERROR",
            Box::new(|tx| {
                tx["raw_data"]["expiration"] = (NOW + 86_400_001).into();
                resign(tx, &key);
            }),
        ),
        (
            "CONTRACT_VALIDATE_ERROR",
            Box::new(|tx| {
                value(tx)["contract_address"] = AddressForm::Hex.show(SHOP).into();
                resign(tx, &key);
            }),
        ),
        (
            "CONTRACT_VALIDATE_ERROR",
            Box::new(|tx| tx["raw_data"]["contract"] = json!([])),
        ),
        (
            "CONTRACT_VALIDATE_ERROR",
            Box::new(|tx| tx["raw_data"]["contract"][0]["type"] = "VoteWitnessContract".into()),
        ),
        (
            "CONTRACT_VALIDATE_ERROR",
            Box::new(|tx| {
                tx["raw_data"]["fee_limit"] = (-1).into();
                resign(tx, &key);
            }),
        ),
        (
            "CONTRACT_VALIDATE_ERROR",
            Box::new(|tx| {
                let pauper = Keypair::derive("pauper", 1, 1);
                value(tx)["owner_address"] = AddressForm::Hex.show(pauper.address()).into();
                resign(tx, &pauper);
            }),
        ),
    ];
    for (n, (code, spoil)) in cases.iter().enumerate() {
        let mut transaction = fresh.clone();
        spoil(&mut transaction);
        let answer = ask(&mut chain, Op::Broadcast, &transaction);
        assert_eq!(
            refusal(&answer).0,
            *code,
            "case {n}: {:?}",
            refusal(&answer)
        );
        assert!(answer.get("result").is_none());
    }
    assert_eq!(chain.pending(), 0);
    let error = ask(&mut chain, Op::Broadcast, &json!({"txID": "ab"}));
    assert_eq!(
        error,
        json!({"Error": "class java.lang.NullPointerException : null"})
    );
}

fn value(transaction: &mut Value) -> &mut Value {
    &mut transaction["raw_data"]["contract"][0]["parameter"]["value"]
}

#[test]
fn trx_transfers_are_checked_before_they_wait() {
    let mut chain = chain();
    let key = chain.actors.test.clone();
    let owner = AddressForm::Hex.show(key.address());
    for (to, amount, wanted) in [
        (SHOP, 5, None),
        (SHOP, 0, Some("Amount must be greater than 0.")),
        (SHOP, i64::MAX, Some("balance is not sufficient")),
        (key.address(), 1, Some("yourself")),
        (USDT, 1, Some("smartContract")),
    ] {
        let order = json!({"owner_address": owner, "to_address": AddressForm::Hex.show(to), "amount": amount});
        let mut transaction = ask(&mut chain, Op::CreateTransfer, &order);
        sign(&mut transaction, &key);
        let answer = ask(&mut chain, Op::Broadcast, &transaction);
        match wanted {
            None => assert_eq!(answer["result"], true),
            Some(text) => assert!(refusal(&answer).1.contains(text), "{:?}", refusal(&answer)),
        }
    }
    chain.produce(chain.next_time(NOW));
    assert_eq!(chain.state.get(Slot::Trx(SHOP)), 5);
}

#[test]
fn constant_calls_answer_at_once() {
    let mut chain = chain();
    let call = |chain: &mut Chain, signature: &str, parameter: String| {
        ask(
            chain,
            Op::ConstantCall,
            &json!({
                "owner_address": SHOP.to_tron(), "contract_address": USDT.to_tron(),
                "function_selector": signature, "parameter": parameter, "visible": true,
            }),
        )
    };
    let test = hex::encode(chain.actors.test.address().as_bytes());
    let balance = call(&mut chain, "balanceOf(address)", format!("{test:0>64}"));
    assert_eq!(
        balance["constant_result"],
        json!([format!("{:064x}", 1_000_000_000_000_u64)])
    );
    assert_eq!(
        (&balance["result"], &balance["transaction"]["ret"]),
        (&json!({"result": true}), &json!([{}]))
    );
    assert_eq!(
        call(&mut chain, "decimals()", String::new())["constant_result"][0],
        format!("{:064x}", 6)
    );
    let too_much = call(
        &mut chain,
        "transfer(address,uint256)",
        format!("{test:0>64}{:064x}", 1),
    );
    assert_eq!(too_much["result"]["message"], "REVERT opcode executed");
    assert_eq!(too_much["transaction"]["ret"], json!([{"ret": "FAILED"}]));
    let nobody = ask(
        &mut chain,
        Op::ConstantCall,
        &json!({
            "owner_address": SHOP.to_tron(), "contract_address": SHOP.to_tron(), "data": "", "visible": true,
        }),
    );
    assert_eq!(
        nobody["result"],
        json!({"code": "CONTRACT_VALIDATE_ERROR", "message": "Smart contract is not exist."})
    );
    let unset = ask(&mut chain, Op::ConstantCall, &json!({}));
    assert_eq!(unset["result"]["code"], "OTHER_ERROR");
    assert_eq!(chain.state.get(Slot::Balance(Token::Usdt, SHOP)), 0);
}

#[test]
fn accounts_contracts_and_the_network_are_described() {
    let mut chain = chain();
    let test = AddressForm::Hex.show(chain.actors.test.address());
    let account = ask(&mut chain, Op::Account, &json!({"address": test}));
    assert_eq!(
        (&account["address"], &account["balance"]),
        (&json!(test), &json!(1_000_000_000_000_u64))
    );
    assert_eq!(
        ask(
            &mut chain,
            Op::Account,
            &json!({"address": AddressForm::Hex.show(SHOP)})
        ),
        json!({})
    );
    let contract = ask(
        &mut chain,
        Op::Contract,
        &json!({"value": USDT.to_tron(), "visible": true}),
    );
    assert_eq!(
        (&contract["name"], &contract["contract_address"]),
        (&json!("TetherToken"), &json!(USDT.to_tron()))
    );
    assert_eq!(contract["abi"]["entrys"].as_array().map(Vec::len), Some(11));
    assert_eq!(
        ask(&mut chain, Op::Contract, &json!({"value": test})),
        json!({})
    );
    let info = ask(&mut chain, Op::NodeInfo, &json!({}));
    assert_eq!(info["block"], format!("Num:40,ID:{}", chain.head().id));
    assert!(
        info["solidityBlock"]
            .as_str()
            .expect("text")
            .starts_with("Num:22,ID:00000000")
    );
    assert!(Op::named("broadcasttransaction", crate::sandbox::node::Scope::Solid).is_none());
}
