//! Reading what a node's HTTP API was asked: query strings and JSON bodies, with java-tron's
//! rules and java-tron's error texts.
//!
//! Refuses quoted numbers and unreadable bodies just as a node does: with HTTP 200 and an `Error`.

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::render::AddressForm;
use crate::domain::address::Address;

/// A failure as java-tron reports it: the exception's class and message, HTTP status 200.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("class {class} : {message}")]
pub struct NodeError {
    class: &'static str,
    message: String,
}

const PARSE_EXCEPTION: &str = "org.tron.core.services.http.JsonFormat$ParseException";
const FASTJSON_EXCEPTION: &str = "com.alibaba.fastjson.JSONException";
const NUMBER_EXCEPTION: &str = "java.lang.NumberFormatException";
const PARAMETER_EXCEPTION: &str = "java.security.InvalidParameterException";

impl NodeError {
    pub fn parse(message: impl Into<String>) -> Self {
        Self {
            class: PARSE_EXCEPTION,
            message: message.into(),
        }
    }

    pub fn number(message: impl Into<String>) -> Self {
        Self {
            class: NUMBER_EXCEPTION,
            message: message.into(),
        }
    }

    /// What java-tron's parsing comes to where a part is missing.
    pub fn null_pointer() -> Self {
        Self {
            class: "java.lang.NullPointerException",
            message: "null".to_owned(),
        }
    }

    pub fn parameter(message: impl Into<String>) -> Self {
        Self {
            class: PARAMETER_EXCEPTION,
            message: message.into(),
        }
    }

    pub fn to_json(&self) -> Value {
        json!({"Error": self.to_string()})
    }
}

/// Where the parameters came from decides how they are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Query,
    Body,
}

/// The parameters of one request.
pub struct Params {
    fields: Map<String, Value>,
    source: Source,
    pub form: AddressForm,
}

impl Params {
    /// A GET request's query string.
    pub fn from_query(query: &str) -> Self {
        let fields: Map<String, Value> = url::form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect();
        let form = form_of(&fields);
        Self {
            fields,
            source: Source::Query,
            form,
        }
    }

    /// A POST request's JSON body.
    ///
    /// # Errors
    /// When it is not a JSON object; an empty body counts as none.
    pub fn from_body(body: &[u8]) -> Result<Self, NodeError> {
        if body.trim_ascii().is_empty() {
            return Err(NodeError::parse("1:1: Expected \"{\"."));
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| NodeError {
            class: FASTJSON_EXCEPTION,
            message: format!("syntax error, {error}"),
        })?;
        let Value::Object(fields) = value else {
            return Err(NodeError::parse("1:1: Expected \"{\"."));
        };
        let form = form_of(&fields);
        Ok(Self {
            fields,
            source: Source::Body,
            form,
        })
    }

    pub fn none() -> Self {
        Self {
            fields: Map::new(),
            source: Source::Body,
            form: AddressForm::Hex,
        }
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A whole number; absent is `None`.
    ///
    /// # Errors
    /// When it is not one.
    pub fn int(&self, name: &str) -> Result<Option<i64>, NodeError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match (self.source, value) {
            (Source::Query, Value::String(text)) => text
                .parse()
                .map(Some)
                .map_err(|_| NodeError::number(format!("For input string: \"{text}\""))),
            (_, value) => value.as_i64().map(Some).ok_or_else(|| {
                NodeError::parse(format!(
                    "1:1: Couldn't parse integer: For input string: \"{value}\""
                ))
            }),
        }
    }

    pub fn flag(&self, name: &str) -> bool {
        truthy(self.get(name))
    }

    /// A text; numbers are taken as their digits, as fastjson's `getString` does.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Hexadecimal bytes; absent is empty.
    ///
    /// # Errors
    /// When the text is not hexadecimal.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, NodeError> {
        let text = self.text(name).unwrap_or_default();
        decode_hex(&text).ok_or_else(|| NodeError::parse("1:1: INVALID hex String"))
    }

    /// An address in the form that `visible` asks for.
    ///
    /// # Errors
    /// When it is absent or not an address.
    pub fn address(&self, name: &str) -> Result<Address, NodeError> {
        let text = self.text(name).unwrap_or_default();
        read_address(&text, self.form)
    }
}

fn form_of(fields: &Map<String, Value>) -> AddressForm {
    if truthy(fields.get("visible")) {
        AddressForm::Base58
    } else {
        AddressForm::Hex
    }
}

fn truthy(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// `ByteArray.fromHexString`: an optional `0x`, an odd digit gets a zero in front.
pub fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len().is_multiple_of(2) {
        hex::decode(digits).ok()
    } else {
        hex::decode(format!("0{digits}")).ok()
    }
}

/// Reads an address in one of a node's two spellings.
///
/// # Errors
/// When it is in neither.
pub fn read_address(text: &str, form: AddressForm) -> Result<Address, NodeError> {
    match form {
        AddressForm::Base58 => Address::from_tron(text)
            .map_err(|error| NodeError::parse(format!("1:1: INVALID base58 String, {error}"))),
        AddressForm::Hex => {
            let bytes =
                decode_hex(text).ok_or_else(|| NodeError::parse("1:1: INVALID hex String"))?;
            match <[u8; 21]>::try_from(bytes) {
                Ok([0x41, rest @ ..]) => Ok(Address::from_bytes(rest)),
                _ => Err(NodeError::parameter(
                    "address is not valid: it needs 21 bytes that start with 41",
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_a_node_reads_them() {
        assert_eq!(Params::from_query("num=12").int("num"), Ok(Some(12)));
        let error = Params::from_query("num=x")
            .int("num")
            .expect_err("not a number");
        assert_eq!(
            error.to_string(),
            "class java.lang.NumberFormatException : For input string: \"x\""
        );
        let body = |text: &str| Params::from_body(text.as_bytes()).expect("an object");
        assert_eq!(body(r#"{"num":12}"#).int("num"), Ok(Some(12)));
        assert_eq!(body(r#"{"num":null}"#).int("num"), Ok(None));
        for bad in [
            r#"{"num":"12"}"#,
            r#"{"num":1.5}"#,
            r#"{"num":99999999999999999999}"#,
        ] {
            let error = body(bad).int("num").expect_err(bad);
            assert!(
                error.to_string().contains("Couldn't parse integer"),
                "{error}"
            );
        }
    }

    #[test]
    fn bodies_that_are_no_objects_are_errors() {
        for bad in ["", "[]", "{", "nonsense", "12"] {
            assert!(Params::from_body(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_come_in_two_spellings() {
        let text = "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC";
        let address = Address::from_tron(text).expect("valid");
        assert_eq!(read_address(text, AddressForm::Base58), Ok(address));
        let hex_form = "417e5f4552091a69125d5dfcb7b8c2659029395bdf";
        assert_eq!(read_address(hex_form, AddressForm::Hex), Ok(address));
        for bad in [
            "",
            "41",
            "zz",
            text,
            "427e5f4552091a69125d5dfcb7b8c2659029395bdf",
        ] {
            assert!(read_address(bad, AddressForm::Hex).is_err(), "{bad}");
        }
    }
}
