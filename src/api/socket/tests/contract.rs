//! The lines of the wire contract's section 3 that no other test of a socket takes up.

use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::*;

fn fragment(bytes: &[u8], kind: Data) -> Message {
    let frame = Frame::message(bytes.to_vec(), OpCode::Data(kind), false);
    Message::Frame(frame)
}

#[tokio::test]
async fn replies_echo_the_id_as_it_was_sent() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    for id in ["7", "-1.50", r#""a\u0062""#, r#""""#] {
        let command = format!(r#"{{"id":{id},"subscribe":{{"channel":"nothing"}}}}"#);
        client.send(Message::text(command)).await;
        let Some(Ok(Message::Text(reply))) = client.next().await else {
            panic!("no reply to {id}");
        };
        assert!(
            reply.starts_with(&format!(r#"{{"id":{id},"error""#)),
            "{reply}"
        );
    }
}

#[tokio::test]
async fn a_token_in_the_url_opens_nothing() {
    let it = Harness::with_keys().await;
    let key = good_key().to_text();
    let request = format!("ws://{}/ws?token={key}", it.address);
    let stream = TcpStream::connect(it.address).await.unwrap();
    let (socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    let mut client = Client { socket };
    let reply = client.ask(json!({"id": 1, "connect": {}})).await;
    assert_eq!(error_code(&reply), "unauthorized");
    assert_eq!(client.end().await.code, Some(4500));
}

/// The channel of all payments has no snapshot: `recovered` says that something is missing, and the push goes on.
#[tokio::test]
async fn all_payments_say_when_they_cannot_be_replayed_whole() {
    let limits = LiveLimits {
        replay_events: 3,
        replay_bytes: 40,
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    for _ in 0..10 {
        it.happen(None);
    }
    it.store.forget_below(5);
    let mut client = it.connected(None).await;
    for (epoch, seq, recovered) in [
        (EPOCH, 10, true),
        (EPOCH, 8, true),
        // Three events are few enough, but too many bytes.
        (EPOCH, 7, false),
        (EPOCH, 3, false),
        (EPOCH, 11, false),
        ("e0", 10, false),
    ] {
        let reply = client.resume("payments", epoch, seq).await;
        let reply = &reply["subscribe"];
        assert_eq!(reply["recovered"], json!(recovered), "{epoch} {seq}");
        assert_eq!(
            (&reply["epoch"], &reply["seq"]),
            (&json!(EPOCH), &json!(10))
        );
        assert_eq!(reply.get("events").is_some(), recovered);
        assert!(reply.get("snapshot").is_none());
        client
            .ask(json!({"id": 3, "unsubscribe": {"channel": "payments"}}))
            .await;
    }
    client.resume("payments", "e0", 10).await;
    assert_eq!(it.happen(None), 11);
    assert_eq!(client.pushed().await, 11);
}

/// Nothing runs while this thread publishes: 256 KiB may wait, and not a byte more.
#[tokio::test]
async fn a_queue_of_256_kib_is_full_and_one_beyond_closes_with_4008() {
    const ENVELOPE: usize =
        r#"{"push":{"channel":"payments","epoch":"e1","seq":1,"event":}}"#.len();
    for (last, code) in [(0, None), (1, Some(4008))] {
        let it = Harness::open().await;
        let mut client = it.connected(None).await;
        client.subscribe("payments").await;
        let sizes = [64 * 1024, 64 * 1024, 64 * 1024, 64 * 1024 + last];
        for (n, size) in (1..).zip(sizes) {
            let mut row = it.store.append(None);
            assert_eq!(row.sequence.0, n);
            row.body = format!("\"{}\"", "x".repeat(size - ENVELOPE - 2)).into();
            it.hub.publish(&row);
        }
        match code {
            None => assert_eq!(client.pushed().await, 1),
            Some(_) => assert_eq!(client.end().await.code, code),
        }
    }
}

#[tokio::test]
async fn a_message_in_fragments_keeps_the_limit_of_a_frame() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    let (head, tail) = (r#"{"id":7,"subscribe":{"#, r#""channel":"payments"}}"#);
    client.send(fragment(head.as_bytes(), Data::Text)).await;
    for byte in tail.as_bytes() {
        client.send(fragment(&[*byte], Data::Continue)).await;
    }
    let end = Frame::message("", OpCode::Data(Data::Continue), true);
    client.send(Message::Frame(end)).await;
    assert_eq!(client.hear().await["id"], json!(7));

    client.send(fragment(&[b' '; 3000], Data::Text)).await;
    client.send(fragment(&[b' '; 1097], Data::Continue)).await;
    assert_eq!(client.end().await.code, Some(4501));
}

/// Found in review: fragments without content never make a message, so neither the size of a message nor the rate of
/// frames stopped a client that sent them without end.
#[tokio::test]
async fn a_message_of_endless_empty_fragments_closes_with_4501() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    client.send(fragment(b"", Data::Text)).await;
    let flood = async {
        // The server may close in the middle of this.
        while client
            .socket
            .send(fragment(b"", Data::Continue))
            .await
            .is_ok()
        {}
    };
    tokio::time::timeout(PATIENCE, flood)
        .await
        .expect("the server gives up");
    it.until_sockets_are(0).await;
}
