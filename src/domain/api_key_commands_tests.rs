//! Orders about API keys on the store as simple as it can be said.

use super::*;
use crate::domain::api_key::{KeySecret, PresentedKey};
use crate::domain::test_support::MemoryState;

const NOW: UnixMs = UnixMs(1_000);

fn secret(n: u8) -> KeySecret {
    KeySecret::of_random([n; 32])
}

fn new_key(n: u8, scope: KeyScope) -> NewKey {
    NewKey {
        id: KeyId(u128::from(n)),
        name: format!("number {n}"),
        scope,
        digest: secret(n).digest(),
    }
}

fn make(state: &mut MemoryState, n: u8, scope: KeyScope, asker: Asker) -> Result<(), Refusal> {
    let made = state.decide(|view| create(view, new_key(n, scope), asker, NOW));
    made.map(|_| ())
}

fn end(state: &mut MemoryState, n: u8, asker: Asker) -> Result<usize, Refusal> {
    let at = NOW.plus_ms(u64::from(n));
    let ended = state.decide(|view| revoke(view, KeyId(n.into()), asker, at));
    ended.map(|changes| changes.api_keys.len())
}

/// Keys 1 (admin), 2 (write) and 3 (read).
fn three() -> MemoryState {
    let mut state = MemoryState::default();
    make(&mut state, 1, KeyScope::Admin, Asker::Anyone).expect("the first");
    make(&mut state, 2, KeyScope::Write, Asker::Key(KeyId(1))).expect("a second");
    make(&mut state, 3, KeyScope::Read, Asker::Operator).expect("a third");
    state
}

fn opens(state: &MemoryState, id: u8, with: u8) -> Option<KeyScope> {
    let presented = PresentedKey {
        id: KeyId(id.into()),
        secret: secret(with),
    };
    state.api_keys.open(&presented).map(|key| key.scope)
}

#[test]
fn the_first_key_is_an_admin_s_whoever_makes_it() {
    for asker in [Asker::Anyone, Asker::Operator] {
        for scope in [KeyScope::Read, KeyScope::Write] {
            let refused = make(&mut MemoryState::default(), 1, scope, asker);
            assert!(matches!(refused, Err(Refusal::FirstKeyMustBeAdmin)));
        }
        make(&mut MemoryState::default(), 1, KeyScope::Admin, asker).expect("made");
    }
}

/// Two strangers at a hub without keys: both were let in, and the second one's key would have been a back door.
#[test]
fn what_was_allowed_when_the_request_came_is_looked_at_again() {
    let mut state = three();
    for asker in [
        Asker::Anyone,
        Asker::Key(KeyId(2)),
        Asker::Key(KeyId(3)),
        Asker::Key(KeyId(99)),
    ] {
        let refused = make(&mut state, 4, KeyScope::Admin, asker);
        assert!(matches!(refused, Err(Refusal::KeyNeeded)), "{asker:?}");
        let refused = end(&mut state, 2, asker);
        assert!(matches!(refused, Err(Refusal::KeyNeeded)), "{asker:?}");
    }
    make(&mut state, 4, KeyScope::Admin, Asker::Key(KeyId(1))).expect("made");
    end(&mut state, 1, Asker::Key(KeyId(4))).expect("revoked");
    let refused = make(&mut state, 5, KeyScope::Admin, Asker::Key(KeyId(1)));
    assert!(matches!(refused, Err(Refusal::KeyNeeded)));
}

#[test]
fn a_key_opens_with_its_own_secret_until_it_is_revoked() {
    let mut state = three();
    assert_eq!(opens(&state, 1, 1), Some(KeyScope::Admin));
    assert_eq!(opens(&state, 2, 2), Some(KeyScope::Write));
    assert_eq!(opens(&state, 2, 1), None, "another's secret");
    assert_eq!(opens(&state, 9, 9), None, "an unknown id");
    assert_eq!(end(&mut state, 2, Asker::Operator).expect("revoked"), 1);
    assert_eq!(opens(&state, 2, 2), None);
    let before = state.api_keys.clone();
    assert_eq!(end(&mut state, 2, Asker::Operator).expect("again"), 0);
    assert_eq!(state.api_keys, before, "the first time counts");
    let unknown = end(&mut state, 9, Asker::Operator);
    assert!(matches!(unknown, Err(Refusal::NoSuchKey)));
}

#[test]
fn the_last_admin_s_key_goes_by_the_operator_s_hand_only() {
    let mut state = three();
    let own = Asker::Key(KeyId(1));
    assert!(matches!(
        end(&mut state, 1, own),
        Err(Refusal::LastAdminKey)
    ));
    make(&mut state, 4, KeyScope::Admin, own).expect("made");
    end(&mut state, 1, own).expect("another is left");
    let own = Asker::Key(KeyId(4));
    assert!(matches!(
        end(&mut state, 4, own),
        Err(Refusal::LastAdminKey)
    ));
    end(&mut state, 4, Asker::Operator).expect("revoked");
    assert_eq!(state.api_keys.len(), 4, "revoked keys are kept");
    let stranger = make(&mut state, 5, KeyScope::Admin, Asker::Anyone);
    assert!(matches!(stranger, Err(Refusal::KeyNeeded)), "still locked");
    make(&mut state, 5, KeyScope::Read, Asker::Operator).expect("no first key any more");
}

#[test]
fn keys_in_use_are_limited_and_old_revoked_ones_make_room() {
    let mut state = MemoryState::default();
    let add = |n: usize, state: &mut MemoryState| {
        let new = NewKey {
            id: KeyId(n as u128),
            ..new_key(0, KeyScope::Admin)
        };
        let made = state.decide(|view| create(view, new, Asker::Operator, NOW));
        made.map(|changes| changes.api_keys.len())
    };
    for n in 0..MAX_LIVE_KEYS {
        add(n, &mut state).expect("made");
    }
    let full = add(MAX_LIVE_KEYS, &mut state);
    assert!(matches!(full, Err(Refusal::TooManyKeys)));
    for n in MAX_LIVE_KEYS..MAX_KEYS + 20 {
        // The newest and the oldest in turn, so that they are not revoked in the order of their making.
        let newest = state.api_keys.live().last().map(|key| key.id);
        let oldest = state.api_keys.live().next().map(|key| key.id);
        let id = if n % 2 == 0 { newest } else { oldest }.expect("one in use");
        let at = NOW.plus_ms(n as u64);
        let ended = state.decide(|view| revoke(view, id, Asker::Operator, at));
        ended.expect("revoked");
        let first = state
            .api_keys
            .iter()
            .filter_map(|key| Some((key.revoked_at?, key.id)));
        let first = first.min().expect("one revoked").1;
        let before = state.api_keys.len();
        let changes = add(n, &mut state).expect("made");
        let is_full = before == MAX_KEYS;
        assert_eq!(changes, if is_full { 2 } else { 1 });
        assert_eq!(state.api_keys.get(first).is_none(), is_full);
    }
    assert_eq!(state.api_keys.len(), MAX_KEYS);
    assert_eq!(state.api_keys.live().count(), MAX_LIVE_KEYS);
}

#[test]
fn uses_are_noted_once_and_never_go_back() {
    let mut state = three();
    let note = |state: &mut MemoryState, uses: &[(KeyId, UnixMs)]| {
        let noted = state.decide(|view| Ok(note_uses(view, uses)?));
        noted.expect("noted").api_keys.len()
    };
    let uses = [(KeyId(1), UnixMs(5)), (KeyId(9), UnixMs(5))];
    assert_eq!(note(&mut state, &uses), 1, "one is unknown");
    assert_eq!(note(&mut state, &uses), 0);
    assert_eq!(note(&mut state, &[(KeyId(1), UnixMs(4))]), 0);
    let used = state.api_keys.get(KeyId(1)).and_then(|k| k.last_used_at);
    assert_eq!(used, Some(UnixMs(5)));
}
