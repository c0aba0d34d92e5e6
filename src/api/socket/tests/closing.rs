//! How sockets are refused and closed: the handshake's answers, the close codes, the drain.

use super::*;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

async fn close_code_after(it: &Harness, message: Message) -> Option<u16> {
    let mut client = it.connected(None).await;
    client.send(message).await;
    client.end().await.code
}

#[tokio::test]
async fn what_is_no_handshake_gets_a_problem_body() {
    let it = Harness::open().await;
    let plain = it
        .raw("GET /ws HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    assert!(plain.starts_with("HTTP/1.1 426"), "{plain}");
    assert!(plain.contains("upgrade: websocket"), "{plain}");
    assert!(plain.contains("application/problem+json"), "{plain}");
    assert!(plain.contains(r#""code":"upgrade_required""#), "{plain}");
    let other = it
        .raw("GET /ws/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
}

#[tokio::test]
async fn pages_of_other_hosts_are_refused() {
    let it = Harness::open().await;
    let Err(Error::Http(response)) = it.handshake(Some("https://evil.example")).await else {
        panic!("it was let in");
    };
    assert_eq!(response.status(), 403);
    let own = format!("http://{}", it.address);
    assert!(it.handshake(Some(&own)).await.is_ok());
}

#[tokio::test]
async fn sockets_beyond_the_limit_are_told_to_come_back() {
    let limits = LiveLimits {
        connections: 2,
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let first = it.client().await;
    let _second = it.client().await;
    let Err(Error::Http(response)) = it.handshake(None).await else {
        panic!("it was let in");
    };
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    drop(first);
    it.until_sockets_are(1).await;
    it.connected(None).await;
}

#[tokio::test]
async fn a_socket_that_goes_leaves_nothing_behind() {
    let it = Harness::open().await;
    let holders_of_the_hub = Arc::strong_count(&it.hub);
    let mut client = it.connected(None).await;
    client.subscribe(&channel(1)).await;
    assert_eq!(Arc::strong_count(&it.hub), holders_of_the_hub + 1);
    assert_eq!(it.seats.sockets(), 1);
    client.socket.close(None).await.unwrap();
    assert_eq!(client.end().await.code, None);
    it.until_sockets_are(0).await;
    assert_eq!(Arc::strong_count(&it.hub), holders_of_the_hub);
}

#[tokio::test]
async fn malformed_frames_close_with_4501() {
    let it = Harness::open().await;
    for text in [
        "",
        "hello",
        "[1]",
        r#"{"connect":{}}"#,
        r#"{"id":[],"connect":{}}"#,
    ] {
        let code = close_code_after(&it, Message::text(text)).await;
        assert_eq!(code, Some(4501), "{text}");
    }
    let binary = close_code_after(&it, Message::binary(&b"{}"[..])).await;
    assert_eq!(binary, Some(4501));
    for size in [4097, 300_000] {
        let large = close_code_after(&it, Message::text("x".repeat(size))).await;
        assert_eq!(large, Some(4501), "{size} bytes");
    }
}

#[tokio::test]
async fn the_largest_frame_is_read() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    let frame = r#"{"id":7,"subscribe":{"channel":"payments"}}"#;
    let padded = format!("{frame}{}", " ".repeat(4096 - frame.len()));
    client.send(Message::text(padded)).await;
    assert_eq!(client.hear().await["id"], json!(7));
}

#[tokio::test]
async fn what_makes_no_sense_is_answered_and_the_socket_stays() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    for command in [
        json!({"id": "x", "publish": {}}),
        json!({"id": "x", "connect": {}}),
        json!({"id": "x", "subscribe": {"channel": "other"}}),
    ] {
        let reply = client.ask(command).await;
        assert_eq!(reply["id"], json!("x"));
        assert_eq!(error_code(&reply), "bad_request");
        assert_eq!(reply["error"]["temporary"], json!(false));
    }
    client.subscribe(&channel(1)).await;
    assert_eq!(
        error_code(&client.subscribe(&channel(1)).await),
        "already_subscribed"
    );
}

#[tokio::test]
async fn a_bad_credential_is_told_and_closed_with_4500() {
    let it = Harness::with_keys().await;
    let expired = it.tokens.issue(payment(1), NOW);
    let foreign = ClientTokens::new([9; 32]).issue(payment(1), UnixMs(u64::MAX));
    for body in [
        json!({}),
        json!({"token": "pb_wrong"}),
        json!({"token": good_key().to_text().replace("pb_00", "pb_01")}),
        json!({"token": format!("{}1", good_key().to_text())}),
        json!({"token": "nonsense"}),
        json!({"token": expired}),
        json!({"token": foreign}),
    ] {
        let mut client = it.client().await;
        let reply = client.ask(json!({"id": 1, "connect": body})).await;
        assert_eq!(error_code(&reply), "unauthorized", "{body}");
        assert_eq!(client.end().await.code, Some(4500), "{body}");
    }
}

#[tokio::test]
async fn a_revoked_key_closes_its_sockets_at_once_and_no_others() {
    let it = Harness::with_keys().await;
    let token = it.tokens.issue(payment(1), UnixMs(NOW.0 + 1000));
    let mut payer = it.connected(Some(&token)).await;
    let mut holder = it.connected(Some(&good_key().to_text())).await;
    holder.subscribe("payments").await;
    it.put_key(Some(NOW));
    let end = holder.end().await;
    assert_eq!((end.frames.len(), end.code), (0, Some(4500)));
    payer.subscribe(&channel(1)).await;
    it.happen(Some(payment(1)));
    assert_eq!(payer.pushed().await, 1);
}

/// Whoever came while no key was needed has none to show once one is.
#[tokio::test]
async fn the_first_key_closes_the_sockets_of_those_without() {
    let it = Harness::open().await;
    let stranger = it.connected(None).await;
    it.put_key(None);
    assert_eq!(stranger.end().await.code, Some(4500));
    it.connected(Some(&good_key().to_text())).await;
}

#[tokio::test]
async fn commands_before_connect_are_closed_with_4500() {
    let it = Harness::open().await;
    let mut client = it.client().await;
    let reply = client.subscribe("payments").await;
    assert_eq!(error_code(&reply), "unauthorized");
    assert_eq!(client.end().await.code, Some(4500));
}

/// Where no key is needed, a client token still holds the socket to its payment.
#[tokio::test]
async fn a_client_token_opens_its_own_payment_only() {
    for it in [Harness::open().await, Harness::with_keys().await] {
        let token = it.tokens.issue(payment(1), UnixMs(NOW.0 + 1000));
        let mut client = it.connected(Some(&token)).await;
        for name in ["payments", &channel(2), &channel(99)] {
            assert_eq!(error_code(&client.subscribe(name).await), "forbidden");
        }
        assert!(
            client
                .subscribe(&channel(1))
                .await
                .get("subscribe")
                .is_some()
        );
    }
}

#[tokio::test]
async fn channels_are_limited_and_insisting_closes_with_4504() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    for n in 1..=8 {
        client.subscribe(&channel(n)).await;
    }
    for _ in 0..8 {
        assert_eq!(error_code(&client.subscribe(&channel(9)).await), "limit");
    }
    assert_eq!(client.end().await.code, Some(4504));
}

#[tokio::test]
async fn too_many_frames_close_with_4013() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    for _ in 0..60 {
        // The server may close in the middle of this.
        if client.socket.send(Message::text("{}")).await.is_err() {
            break;
        }
    }
    assert_eq!(client.end().await.code, Some(4013));
}

#[tokio::test]
async fn whoever_never_connects_is_closed_with_4012() {
    let limits = LiveLimits {
        authenticate_within: ms(30),
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    assert_eq!(it.client().await.end().await.code, Some(4012));
}

#[tokio::test]
async fn pings_are_answered_or_the_socket_closes_with_4012() {
    let limits = LiveLimits {
        ping_every: ms(40),
        pong_within: ms(5_000),
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits.clone()).await;
    let mut client = it.client().await;
    client.ask(json!({"id": 1, "connect": {}})).await;
    for _ in 0..3 {
        assert_eq!(client.hear().await, json!({}));
        client.say(json!({})).await;
    }
    drop(client);

    let impatient = Harness::limited(LiveLimits {
        pong_within: ms(40),
        ..limits
    })
    .await;
    let mut silent = impatient.client().await;
    silent.ask(json!({"id": 1, "connect": {}})).await;
    let end = silent.end().await;
    assert_eq!(end.frames, [json!({})]);
    assert_eq!(end.code, Some(4012));
}

#[tokio::test]
async fn pings_of_the_websocket_layer_are_answered() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    client.send(Message::Ping("abc".into())).await;
    let Some(Ok(Message::Pong(payload))) = client.next().await else {
        panic!("no pong");
    };
    assert_eq!(payload, "abc");
}

/// Nothing runs while this thread publishes, so the queue overflows whatever the network's buffers hold.
#[tokio::test]
async fn a_full_queue_closes_with_4008() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    client.subscribe("payments").await;
    let mut other = it.connected(None).await;
    other.subscribe(&channel(2)).await;
    for _ in 0..257 {
        it.happen(Some(payment(1)));
    }
    it.happen(Some(payment(2)));
    assert_eq!(client.end().await.code, Some(4008));
    assert_eq!(other.pushed().await, 258);
}

/// Fills the network's buffers too: the client sees an unbroken beginning and then the reason.
#[tokio::test]
async fn a_client_that_reads_too_late_gets_an_unbroken_beginning_and_4008() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    client.subscribe("payments").await;
    for _ in 0..400 {
        let mut row = it.store.append(Some(payment(1)));
        row.body = format!(r#"{{"filler":"{}"}}"#, "x".repeat(60_000)).into();
        it.hub.publish(&row);
        tokio::time::sleep(ms(1)).await;
    }
    let end = client.end().await;
    assert_eq!(end.code, Some(4008));
    let seqs = end.frames.iter().map(|f| f["push"]["seq"].as_u64());
    assert!(seqs.eq((1..=end.frames.len() as u64).map(Some)));
    assert!(end.frames.len() < 400);
}

#[tokio::test]
async fn a_peer_that_does_not_read_at_all_is_dropped() {
    let limits = LiveLimits {
        write_within: ms(100),
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let mut client = it.connected(None).await;
    client.subscribe("payments").await;
    let mut row = it.store.append(None);
    row.body = format!(r#""{}""#, "x".repeat(100_000)).into();
    let publishing = async {
        while it.seats.sockets() > 0 {
            it.hub.publish(&row);
            row.sequence.0 += 1;
            tokio::time::sleep(ms(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, publishing)
        .await
        .expect("the socket is dropped");
    drop(client);
}

#[tokio::test]
async fn a_shutdown_flushes_and_closes_with_4001() {
    let limits = LiveLimits {
        shutdown_spread: ms(50),
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = it.connected(None).await;
        client.subscribe("payments").await;
        clients.push(client);
    }
    it.happen(None);
    it.shutdown.send_replace(true);
    let Err(Error::Http(response)) = it.handshake(None).await else {
        panic!("it was let in");
    };
    assert_eq!(response.status(), 503);
    for client in clients {
        let end = client.end().await;
        assert_eq!(end.frames.len(), 1);
        assert_eq!(end.code, Some(4001));
    }
    it.until_sockets_are(0).await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_does_not_hold_up_a_shutdown() {
    let limits = LiveLimits {
        shutdown_spread: ms(1),
        shutdown_grace: ms(50),
        write_within: PATIENCE * 2,
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let mut client = it.connected(None).await;
    client.subscribe("payments").await;
    let mut row = it.store.append(None);
    row.body = format!(r#""{}""#, "x".repeat(60_000)).into();
    for _ in 0..300 {
        it.hub.publish(&row);
        row.sequence.0 += 1;
        tokio::time::sleep(ms(1)).await;
    }
    it.shutdown.send_replace(true);
    it.until_sockets_are(0).await;
    drop(client);
}
