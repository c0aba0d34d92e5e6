//! Transactions: what was asked of the chain, encoded exactly as the network encodes it.
//!
//! A transaction's id is the SHA-256 of its protobuf `raw_data`. Refuses contract types that the
//! sandbox cannot execute; whether a transaction may run is for `broadcast` and `vm` to say.

use super::keys::{Keypair, SignatureBytes, sha256};
use super::proto::Message;
use crate::domain::address::{ADDRESS_BYTES, Address};
use crate::domain::ids::{BlockHash, TxId};

/// `Transaction.Contract.ContractType`, the ones the sandbox executes.
const TYPE_TRANSFER: i64 = 1;
const TYPE_TRIGGER: i64 = 31;

/// What a transaction asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A plain TRX transfer, in sun.
    Transfer {
        owner: Address,
        to: Address,
        amount: i64,
    },
    /// A call to a smart contract.
    Trigger(Trigger),
}

/// A `TriggerSmartContract`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    pub owner: Address,
    pub contract: Address,
    pub data: Vec<u8>,
    pub call_value: i64,
    pub call_token_value: i64,
    pub token_id: i64,
}

/// `Transaction.raw`: all that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTx {
    pub ref_block_bytes: Vec<u8>,
    pub ref_block_hash: Vec<u8>,
    /// Unix milliseconds.
    pub expiration: i64,
    pub memo: Vec<u8>,
    pub permission_id: i64,
    pub call: Call,
    /// Unix milliseconds.
    pub timestamp: i64,
    /// Sun.
    pub fee_limit: i64,
}

/// A signed transaction and its id.
#[derive(Debug, Clone)]
pub struct Transaction {
    pub id: TxId,
    pub raw: RawTx,
    pub signatures: Vec<Vec<u8>>,
}

/// TRON's 21-byte form of an address.
pub fn tron_bytes(address: Address) -> [u8; ADDRESS_BYTES + 1] {
    let mut bytes = [0x41; ADDRESS_BYTES + 1];
    bytes[1..].copy_from_slice(address.as_bytes());
    bytes
}

impl Trigger {
    pub fn new(owner: Address, contract: Address, data: Vec<u8>) -> Self {
        Self {
            owner,
            contract,
            data,
            call_value: 0,
            call_token_value: 0,
            token_id: 0,
        }
    }
}

impl Call {
    pub fn owner(&self) -> Address {
        match self {
            Self::Transfer { owner, .. } => *owner,
            Self::Trigger(trigger) => trigger.owner,
        }
    }

    /// The recipient or the called contract.
    pub fn target(&self) -> Address {
        match self {
            Self::Transfer { to, .. } => *to,
            Self::Trigger(trigger) => trigger.contract,
        }
    }

    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => "TransferContract",
            Self::Trigger(_) => "TriggerSmartContract",
        }
    }

    pub fn type_url(&self) -> String {
        format!("type.googleapis.com/protocol.{}", self.type_name())
    }

    fn encode(&self) -> (i64, Vec<u8>) {
        match self {
            Self::Transfer { owner, to, amount } => {
                let value = Message::new()
                    .bytes(1, &tron_bytes(*owner))
                    .bytes(2, &tron_bytes(*to))
                    .int(3, *amount);
                (TYPE_TRANSFER, value.finish())
            }
            Self::Trigger(trigger) => {
                let value = Message::new()
                    .bytes(1, &tron_bytes(trigger.owner))
                    .bytes(2, &tron_bytes(trigger.contract))
                    .int(3, trigger.call_value)
                    .bytes(4, &trigger.data)
                    .int(5, trigger.call_token_value)
                    .int(6, trigger.token_id);
                (TYPE_TRIGGER, value.finish())
            }
        }
    }
}

impl RawTx {
    /// Points the transaction at a block of the branch it is meant for.
    pub fn refer_to(&mut self, block: BlockHash) {
        (self.ref_block_bytes, self.ref_block_hash) = reference(block);
    }

    /// The protobuf bytes whose SHA-256 is the transaction's id.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, value) = self.call.encode();
        let any = Message::new()
            .bytes(1, self.call.type_url().as_bytes())
            .bytes(2, &value);
        let contract = Message::new()
            .int(1, kind)
            .item(2, &any.finish())
            .int(5, self.permission_id);
        Message::new()
            .bytes(1, &self.ref_block_bytes)
            .bytes(4, &self.ref_block_hash)
            .int(8, self.expiration)
            .bytes(10, &self.memo)
            .item(11, &contract.finish())
            .int(14, self.timestamp)
            .int(18, self.fee_limit)
            .finish()
    }
}

/// A block's two-byte number and eight-byte hash part, by which transactions refer to it.
pub fn reference(block: BlockHash) -> (Vec<u8>, Vec<u8>) {
    (block.0[6..8].to_vec(), block.0[8..16].to_vec())
}

impl Transaction {
    pub fn unsigned(raw: RawTx) -> Self {
        Self {
            id: TxId(sha256(&raw.encode())),
            raw,
            signatures: Vec::new(),
        }
    }

    pub fn signed(raw: RawTx, signer: &Keypair) -> Self {
        let mut transaction = Self::unsigned(raw);
        let signature: SignatureBytes = signer.sign(&transaction.id.0);
        transaction.signatures.push(signature.to_vec());
        transaction
    }

    /// The whole transaction as protobuf, without its results.
    pub fn encode(&self) -> Vec<u8> {
        self.signatures
            .iter()
            .fold(
                Message::new().item(1, &self.raw.encode()),
                |message, signature| message.item(2, signature),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::keys::Keypair;

    fn address(hex_text: &str) -> Address {
        let mut bytes = [0_u8; 20];
        hex::decode_to_slice(hex_text, &mut bytes).expect("20 bytes of hex");
        Address::from_bytes(bytes)
    }

    fn raw(call: Call, fee_limit: i64) -> RawTx {
        RawTx {
            ref_block_bytes: vec![0x26, 0x7e],
            ref_block_hash: hex::decode("9a5c9a6ba5b7ac33").expect("hex"),
            expiration: 1_600_000_060_000,
            memo: Vec::new(),
            permission_id: 0,
            call,
            timestamp: 1_600_000_000_000,
            fee_limit,
        }
    }

    /// Encoded, hashed and signed by npm tronweb 6.5.1 with private key 1.
    #[test]
    fn encoding_id_and_signature_are_those_of_tronweb() {
        let mut one = [0_u8; 32];
        one[31] = 1;
        let signer = Keypair::from_scalar(&one).expect("valid");
        let owner = address("7e5f4552091a69125d5dfcb7b8c2659029395bdf");
        let to = address("2b5ad5c4795c026514f8317c7a215e218dccd6cf");
        let usdt = address("a614f803b6fd780986a42c78ec9c7f77e6ded13c");
        let data = hex::decode("a9059cbb0000000000000000000000002b5ad5c4795c026514f8317c7a215e218dccd6cf00000000000000000000000000000000000000000000000000000000000f4240").expect("hex");
        let cases = [
            (
                raw(
                    Call::Transfer {
                        owner,
                        to,
                        amount: 1,
                    },
                    0,
                ),
                "0a02267e22089a5c9a6ba5b7ac3340e0d4bdbbc82e5a65080112610a2d747970652e676f6f676c65617069732e636f6d2f70726f746f636f6c2e5472616e73666572436f6e747261637412300a15417e5f4552091a69125d5dfcb7b8c2659029395bdf1215412b5ad5c4795c026514f8317c7a215e218dccd6cf1801708080babbc82e",
                "f39e9c66af08bbbc04ee1350816d6b4709eda88a2a1dc5067bef4e66b65c17fd",
                "501d5a12e9bcd4a07b631fecf70fbb35730e4481f101e8df5ccebac08ac1d4e4027e919c4f722bee17100df7af0dbb8299f8e1a9f47b046a12145d0cf568f0b81c",
            ),
            (
                raw(Call::Trigger(Trigger::new(owner, usdt, data)), 150_000_000),
                "0a02267e22089a5c9a6ba5b7ac3340e0d4bdbbc82e5aae01081f12a9010a31747970652e676f6f676c65617069732e636f6d2f70726f746f636f6c2e54726967676572536d617274436f6e747261637412740a15417e5f4552091a69125d5dfcb7b8c2659029395bdf121541a614f803b6fd780986a42c78ec9c7f77e6ded13c2244a9059cbb0000000000000000000000002b5ad5c4795c026514f8317c7a215e218dccd6cf00000000000000000000000000000000000000000000000000000000000f4240708080babbc82e900180a3c347",
                "858c35a3613f41c7a747299d2be7b6a3a8ed65bcbe04c8047696ae355714df6d",
                "f5bf12396866a7477f76505e1fd8a75801504e0c5ef98c574da05b6f22d3846f4a124f7610e47a87a28cd8bef16e78a8ca822d74f5a07bc691d63e0de53a98131b",
            ),
        ];
        for (raw, encoded, id, signature) in cases {
            assert_eq!(hex::encode(raw.encode()), encoded);
            let transaction = Transaction::signed(raw, &signer);
            assert_eq!(transaction.id.to_string(), id);
            assert_eq!(hex::encode(&transaction.signatures[0]), signature);
        }
    }
}
