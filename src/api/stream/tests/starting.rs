//! How streams begin: who may open them, from where they resume, and how it is said that they cannot.

use super::*;

#[tokio::test]
async fn a_payment_s_stream_begins_with_a_snapshot_and_tells_what_happens() {
    let it = Harness::open().await;
    let (id, token) = it.hub.create("A", "5").await;
    let other = it.hub.create("B", "6").await.0;
    it.hub.announce();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("origin", ORIGIN)];
    let mut stream = it.stream(&path_of(id), &headers).await;
    let answer = stream.response.headers();
    assert_eq!(header(answer, "content-type"), "text/event-stream");
    assert_eq!(header(answer, "cache-control"), "no-store");
    assert_eq!(header(answer, "x-accel-buffering"), "no");
    assert_eq!(header(answer, "access-control-allow-origin"), ORIGIN);
    let snapshot = stream.expect(Some("e1:2"), "snapshot").await;
    assert_eq!(
        (&snapshot["epoch"], &snapshot["seq"]),
        (&json!("e1"), &json!(2))
    );
    assert_eq!(snapshot["payment"]["payment_id"], json!(id.to_string()));
    assert_eq!(snapshot["payment"]["status"], "pending");

    it.hub.happen(Some(other));
    it.hub.happen(Some(id));
    it.hub.ctx.live.hub.progress(id, 7, 19);
    let event = stream.expect(Some("e1:4"), "payment.detected").await;
    assert_eq!(event["sequence"], 4);
    let progress = stream.expect(None, "progress").await;
    assert_eq!(progress, json!({"confirmations": 7, "required": 19}));

    let mut resumed = it.resume(&path_of(id), "e1:2").await;
    assert_eq!(resumed.number().await, 4);
}

#[tokio::test]
async fn the_stream_of_everything_starts_now_or_where_the_client_left_off() {
    let it = Harness::open().await;
    let all = "/v1/events/stream";
    for _ in 0..3 {
        it.hub.happen(None);
    }
    let mut now = it.stream(all, &[]).await;
    let hello = now.expect(Some("e1:3"), "hello").await;
    assert_eq!(hello, json!({"epoch": "e1", "seq": 3}));
    let mut resumed = it.resume(all, "e1:1").await;
    let mut by_query = it.stream(&format!("{all}?last_event_id=e1:2"), &[]).await;
    // What a browser does that comes back: the header is newer than the address it was given.
    let both = [("last-event-id", "e1:3")];
    let mut by_both = it.stream(&format!("{all}?last_event_id=e1:1"), &both).await;
    let mut empty = it.resume(&format!("{all}?last_event_id=e1:2"), "").await;
    it.hub.happen(None);
    assert_eq!(now.number().await, 4);
    for expected in 2..=4 {
        assert_eq!(resumed.number().await, expected);
    }
    for stream in [&mut by_query, &mut empty] {
        assert_eq!(stream.number().await, 3);
        assert_eq!(stream.number().await, 4);
    }
    assert_eq!(by_both.number().await, 4);
}

#[tokio::test]
async fn what_cannot_be_resumed_is_said_and_never_told_in_part() {
    let limits = LiveLimits {
        replay_events: 3,
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let id = it.hub.create("A", "5").await.0;
    it.hub.announce();
    for _ in 2..=10 {
        it.hub.happen(Some(id));
    }
    it.hub.store.rows().first = Some(Sequence(5));
    for last in ["e1:3", "e1:6", "e1:11", "e0:10", ":10", "e:1:10"] {
        let mut own = it.resume(&path_of(id), last).await;
        let snapshot = own.expect(Some("e1:10"), "snapshot").await;
        assert_eq!(snapshot["payment"]["order_id"], "A", "{last}");
        let mut all = it.resume("/v1/events/stream", last).await;
        let reset = all.expect(Some("e1:10"), "reset").await;
        assert_eq!(reset, json!({"epoch": "e1", "seq": 10, "first_seq": 5}));
    }
    let mut whole = it.resume("/v1/events/stream", "e1:7").await;
    assert_eq!(whole.number().await, 8);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_by_what_is_wrong() {
    let it = Harness::open().await;
    for (path, headers, status, named) in [
        (
            "/v1/events/stream",
            vec![("last-event-id", "17")],
            400,
            "Last-Event-ID",
        ),
        (
            "/v1/events/stream",
            vec![("last-event-id", "e1:-1")],
            400,
            "<epoch>:<number>",
        ),
        (
            "/v1/events/stream?last_event_id=x",
            vec![],
            400,
            "last_event_id",
        ),
        (
            "/v1/events/stream?after=3",
            vec![],
            400,
            "unknown parameter",
        ),
        (
            "/v1/payments/nonsense/events/stream",
            vec![],
            404,
            "payment_not_found",
        ),
        ("/v1/events/stream/x", vec![], 404, "not_found"),
    ] {
        let answer = it.ask(path, &headers).await;
        assert_eq!(answer.status(), status, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(named), "{text}");
    }
    assert_eq!(it.hub.ctx.live.seats.streams(), 0);
}

#[tokio::test]
async fn a_client_token_opens_its_own_payment_s_stream_only() {
    let it = Harness::open().await;
    let (id, token) = it.hub.create("A", "5").await;
    let other = it.hub.create("B", "6").await.0;
    let unknown = PaymentId(uuid::Uuid::from_u128(9));
    let expired = it.hub.ctx.tokens.issue(id, UnixMs(NOW.0 - 1));
    let forged = crate::api::token::ClientTokens::new([9; 32]).issue(id, UnixMs(NOW.0 + 1000));
    for (path, token, status) in [
        (path_of(other), &token, 403),
        (path_of(unknown), &token, 403),
        ("/v1/events/stream".to_owned(), &token, 403),
        (path_of(id), &expired, 401),
        (path_of(id), &forged, 401),
        (path_of(id), &token, 200),
    ] {
        let bearer = format!("Bearer {token}");
        let answer = it.ask(&path, &[("authorization", &bearer)]).await;
        assert_eq!(answer.status(), status, "{path}");
    }
    assert_eq!(it.ask(&path_of(unknown), &[]).await.status(), 404);
}

#[tokio::test]
async fn head_tells_the_headers_and_starts_nothing() {
    let it = Harness::open().await;
    let id = it.hub.create("A", "5").await.0;
    for path in ["/v1/events/stream".to_owned(), path_of(id)] {
        let request = it.client.head(format!("{}{path}", it.base));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(
            header(answer.headers(), "content-type"),
            "text/event-stream"
        );
        assert_eq!(it.hub.ctx.live.seats.streams(), 0);
        let request = it.client.post(format!("{}{path}", it.base));
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), 405);
        assert_eq!(header(refused.headers(), "allow"), "GET, HEAD, OPTIONS");
    }
    let ask = it.client.request(
        http::Method::OPTIONS,
        format!("{}/v1/events/stream", it.base),
    );
    let preflight = ask.header("origin", ORIGIN).send().await.unwrap();
    let allowed = header(preflight.headers(), "access-control-allow-headers");
    assert!(allowed.contains("last-event-id"), "{allowed}");
}
