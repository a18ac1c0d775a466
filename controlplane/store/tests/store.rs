//! The store as a core uses it: what is committed, in which order, and what survives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use coeur_model::{PduSessionId, Secret, SubscriptionProfile, Supi};
use coeur_nf::store::{AuthenticationSubscription, StoreError, StoreOp, StoreReply};
use coeur_store::{MasterKey, NewSubscriber, OpenError, Store, SubscriberError, Writer};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn supi(number: u64) -> Supi {
    Supi::from_imsi(&format!("00101{number:010}")).unwrap()
}

fn session(id: u8) -> PduSessionId {
    PduSessionId::new(id).unwrap()
}

fn profile(dnn: &str) -> SubscriptionProfile {
    let text = format!(r#"{{"slices":[{{"snssai":"1","default":true,"dnns":[{{"dnn":"{dnn}"}}]}}]}}"#);
    serde_json::from_str(&text).unwrap()
}

fn new(number: u64) -> NewSubscriber {
    NewSubscriber {
        supi: supi(number),
        k: Secret::new([number as u8; 16]),
        opc: Secret::new([number as u8 ^ 0xff; 16]),
        amf: [0x80, 0x00],
        sqn: 0,
        profile: profile("internet"),
    }
}

type Reply = (u32, Result<StoreReply, StoreError>);

/// Submits operations with tags 0, 1, ... and waits for all replies.
async fn all(writer: &mut Writer<u32>, operations: Vec<StoreOp>) -> Vec<Reply> {
    let count = operations.len();
    writer.submit((0..).zip(operations).collect());
    let mut replies = Vec::new();
    while replies.len() < count {
        tokio::time::timeout(PATIENCE, writer.replies(&mut replies)).await.expect("replies");
    }
    replies
}

async fn one(writer: &mut Writer<u32>, operation: StoreOp) -> Result<StoreReply, StoreError> {
    all(writer, vec![operation]).await.remove(0).1
}

fn sqn(reply: &Result<StoreReply, StoreError>) -> u64 {
    match reply {
        Ok(StoreReply::Authentication(it)) => it.sqn,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sequence_numbers_are_reserved_once_and_survive() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.add_subscriber(new(1)).await.unwrap();
    let mut writer = store.writer();
    let reserve = || StoreOp::ReserveSqn { supi: supi(1) };
    let replies = all(&mut writer, vec![reserve(), reserve(), reserve()]).await;
    assert_eq!(replies.iter().map(|(tag, reply)| (*tag, sqn(reply))).collect::<Vec<_>>(), [(0, 33), (1, 66), (2, 99)]);
    let read = StoreOp::ReadAuthentication { supi: supi(1) };
    let wanted =
        AuthenticationSubscription { k: Secret::new([1; 16]), opc: Secret::new([0xfe; 16]), amf: [0x80, 0], sqn: 99 };
    assert_eq!(one(&mut writer, read.clone()).await, Ok(StoreReply::Authentication(Box::new(wanted))));
    store.close().await;
    drop((store, writer));

    let store = Store::open(folder.path()).await.unwrap();
    let mut writer = store.writer();
    assert_eq!(sqn(&one(&mut writer, read).await), 99);
    // TS 33.102, 6.3.5: SQN becomes SQN_MS, and the next vector has the one after it.
    let resynchronise = StoreOp::ResynchroniseSqn { supi: supi(1), sqn_ms: 1_000 << 5 | 4 };
    assert_eq!(sqn(&one(&mut writer, resynchronise).await), 1_001 << 5 | 5);
    assert_eq!(sqn(&one(&mut writer, reserve()).await), 1_002 << 5 | 6);
}

#[tokio::test]
async fn contexts_are_written_replaced_removed_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut writer = store.writer();
    let put = |number, octets: &[u8]| StoreOp::PutUe { supi: supi(number), record: octets.to_vec() };
    let put_session = |number, id, octets: &[u8]| StoreOp::PutSession {
        supi: supi(number),
        session: session(id),
        record: octets.to_vec(),
    };
    let mut operations: Vec<StoreOp> = (0..150).map(|number| put(number, &number.to_be_bytes())).collect();
    operations.extend((0..150).flat_map(|number| [put_session(number, 1, b"one"), put_session(number, 15, b"")]));
    let replies = all(&mut writer, operations).await;
    assert!(replies.iter().all(|(_, reply)| *reply == Ok(StoreReply::Done)));
    // Later operations of a group win; removing what is not there is no error.
    let operations = vec![
        put(7, b"first"),
        put(7, b"second"),
        StoreOp::RemoveUe { supi: supi(8) },
        put(9, b"gone"),
        StoreOp::RemoveUe { supi: supi(9) },
        StoreOp::RemoveUe { supi: supi(10) },
        put(10, b"back"),
        StoreOp::RemoveUe { supi: supi(9_999) },
        StoreOp::RemoveSession { supi: supi(7), session: session(15) },
        StoreOp::RemoveSession { supi: supi(7), session: session(3) },
        put_session(7, 1, b"changed"),
    ];
    assert!(all(&mut writer, operations).await.iter().all(|(_, reply)| *reply == Ok(StoreReply::Done)));
    let (ues, sessions) = store.load().await.unwrap();
    let record = |number| ues.iter().find(|ue| ue.supi == supi(number)).map(|ue| ue.record.clone());
    assert_eq!(ues.len(), 148);
    assert!(ues.is_sorted_by_key(|ue| ue.supi.clone()));
    assert_eq!((record(7), record(8), record(9)), (Some(b"second".to_vec()), None, None));
    assert_eq!((record(10), record(149)), (Some(b"back".to_vec()), Some(149_u64.to_be_bytes().to_vec())));
    let of_7: Vec<_> = sessions.iter().filter(|it| it.supi == supi(7)).map(|it| (it.session, &it.record[..])).collect();
    assert_eq!((sessions.len(), of_7), (299, vec![(session(1), &b"changed"[..])]));
    store.wipe_contexts().await.unwrap();
    assert_eq!(store.load().await.unwrap(), (vec![], vec![]));
}

#[tokio::test]
async fn one_that_fails_does_not_touch_the_others_and_order_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.add_subscriber(new(1)).await.unwrap();
    let mut writer = store.writer();
    let operations = vec![
        StoreOp::ReserveSqn { supi: supi(404) },
        StoreOp::ReadProfile { supi: supi(1) },
        StoreOp::ReadProfile { supi: supi(404) },
        StoreOp::PutUe { supi: supi(404), record: vec![1] },
        StoreOp::ReserveSqn { supi: supi(1) },
    ];
    let replies = all(&mut writer, operations).await;
    assert_eq!(replies.iter().map(|it| it.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(replies[0].1, Err(StoreError::NotFound));
    assert_eq!(replies[1].1, Ok(StoreReply::Profile(Box::new(profile("internet")))));
    assert_eq!(replies[2].1, Err(StoreError::NotFound));
    assert_eq!(replies[3].1, Ok(StoreReply::Done));
    assert_eq!(sqn(&replies[4].1), 33);
    // A changed profile is read by the next operation.
    store.update_profile(&supi(1), profile("factory")).await.unwrap();
    let read = StoreOp::ReadProfile { supi: supi(1) };
    assert_eq!(one(&mut writer, read).await, Ok(StoreReply::Profile(Box::new(profile("factory")))));
}

#[tokio::test]
async fn what_is_queued_at_closing_is_committed_and_what_comes_later_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut writer: Writer<u32> = store.writer();
    let put = |number| StoreOp::PutUe { supi: supi(number), record: vec![1] };
    writer.submit((0..5_000).map(|number| (number, put(number.into()))).collect());
    assert_eq!(writer.outstanding(), 5_000);
    store.close().await;
    let mut replies = Vec::new();
    writer.submit(vec![(9_999, put(9_999))]);
    while replies.len() < 5_001 {
        tokio::time::timeout(PATIENCE, writer.replies(&mut replies)).await.unwrap();
    }
    let refused: Vec<u32> = replies.iter().filter(|(_, reply)| reply.is_err()).map(|(tag, _)| *tag).collect();
    assert_eq!((refused, writer.outstanding()), (vec![9_999], 0));
    drop((store, writer));
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.load().await.unwrap().0.len(), 5_000);
}

#[tokio::test]
async fn a_store_is_opened_once_with_its_own_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    assert!(matches!(Store::open(folder.path()).await, Err(OpenError::InUse { .. })));
    store.close().await;
    drop(store);
    let wrong = MasterKey::new([9; 32]);
    assert!(matches!(Store::open_with_key(folder.path(), &wrong).await, Err(OpenError::WrongKey)));
    let key = folder.path().join("master.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(Store::open(folder.path()).await, Err(OpenError::KeyMissing { .. })));
    std::fs::write(&key, &kept).unwrap();
    Store::open(folder.path()).await.unwrap();
    let file = folder.path().join("core.lock").join("inside");
    assert!(matches!(Store::open(&file).await, Err(OpenError::Folder { .. })));
}

#[tokio::test]
async fn subscribers_are_administered_without_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    for number in [5, 3, 1, 4, 2] {
        store.add_subscriber(new(number)).await.unwrap();
    }
    let again = store.add_subscriber(new(3)).await;
    assert_eq!(again, Err(SubscriberError::Exists(supi(3).expose())));
    assert_eq!(store.count_subscribers().await, Ok(5));
    let page = store.list_subscribers(None, 3).await.unwrap();
    assert_eq!(page.iter().map(|it| it.supi.clone()).collect::<Vec<_>>(), [supi(1), supi(2), supi(3)]);
    let page = store.list_subscribers(Some(&supi(3)), 3).await.unwrap();
    assert_eq!(page.iter().map(|it| it.supi.clone()).collect::<Vec<_>>(), [supi(4), supi(5)]);
    let before = store.subscriber(&supi(4)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let after = store.update_profile(&supi(4), profile("factory")).await.unwrap();
    assert_eq!((&after.profile, after.created_unix_ms), (&profile("factory"), before.created_unix_ms));
    assert!(after.updated_unix_ms > before.updated_unix_ms);
    assert_eq!(store.subscriber(&supi(4)).await, Ok(after));
    assert_eq!(store.remove_subscriber(&supi(4)).await, Ok(()));
    assert_eq!(store.remove_subscriber(&supi(4)).await, Err(SubscriberError::NotFound));
    assert_eq!(store.subscriber(&supi(4)).await, Err(SubscriberError::NotFound));
    assert_eq!(store.update_profile(&supi(4), profile("x")).await, Err(SubscriberError::NotFound));
    assert_eq!(store.count_subscribers().await, Ok(4));
    store.close().await;
    // K of subscriber 1 is sixteen octets of 0x01: nowhere in what is on disk.
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!octets.windows(16).any(|window| window == [1; 16]));
    }
}

#[tokio::test]
async fn an_import_is_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.add_subscriber(new(150)).await.unwrap();
    let error = store.import_subscribers((0..200).map(new).collect()).await.unwrap_err();
    assert_eq!(error, (Some(150), SubscriberError::Exists(supi(150).expose())));
    assert_eq!(store.count_subscribers().await, Ok(1));
    let twice: Vec<_> = (200..210).chain([205]).map(new).collect();
    let error = store.import_subscribers(twice).await.unwrap_err();
    assert_eq!(error, (Some(10), SubscriberError::Exists(supi(205).expose())));
    assert_eq!(store.count_subscribers().await, Ok(1));
    assert_eq!(store.import_subscribers((200..1_000).map(new).collect()).await, Ok(800));
    assert_eq!(store.import_subscribers(Vec::new()).await, Ok(0));
    assert_eq!(store.count_subscribers().await, Ok(801));
    let mut writer = store.writer();
    let read = StoreOp::ReadAuthentication { supi: supi(777) };
    let Ok(StoreReply::Authentication(read)) = one(&mut writer, read).await else { panic!() };
    assert_eq!((read.k, read.amf, read.sqn), (Secret::new([777_u64 as u8; 16]), [0x80, 0], 0));
}

const CHILD: &str = "COEUR_STORE_TEST_CHILD";

/// Not a test by itself: what `nothing_that_was_replied_is_lost_by_kill_9` starts and kills.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let store = Store::open(Path::new(&folder)).await.unwrap();
    let mut writer = store.writer();
    for round in 0_u64.. {
        let put = |number| StoreOp::PutUe { supi: supi(number), record: round.to_be_bytes().to_vec() };
        let mut operations: Vec<StoreOp> = (0..20).map(put).collect();
        operations.push(StoreOp::ReserveSqn { supi: supi(1) });
        let replies = all(&mut writer, operations).await;
        println!("replied {round} {}", sqn(&replies[20].1));
    }
}

#[tokio::test]
async fn nothing_that_was_replied_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.add_subscriber(new(1)).await.unwrap();
    store.close().await;
    drop(store);
    for kill_after_ms in [30, 75, 120] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_writes_until_it_is_killed", "--exact", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line = |line: String| -> Option<(u64, u64)> {
            let (round, sqn) = line.split("replied ").nth(1)?.split_once(' ')?;
            Some((round.parse().ok()?, sqn.trim().parse().ok()?))
        };
        let first = lines.by_ref().find_map(line).expect("a child that writes");
        std::thread::sleep(Duration::from_millis(kill_after_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        let (round, replied_sqn) = lines.filter_map(line).last().unwrap_or(first);

        let store = Store::open(folder.path()).await.unwrap();
        let (ues, _) = store.load().await.unwrap();
        let rounds: Vec<u64> = ues.iter().map(|ue| u64::from_be_bytes(ue.record[..].try_into().unwrap())).collect();
        // A group is there whole or not at all, and every group that was replied to is there.
        assert_eq!(rounds.len(), 20);
        assert!(rounds.iter().all(|it| *it == rounds[0]), "{rounds:?}");
        assert!(rounds[0] == round || rounds[0] == round + 1, "{} replied, {} there", round, rounds[0]);
        let mut writer = store.writer();
        let there = sqn(&one(&mut writer, StoreOp::ReadAuthentication { supi: supi(1) }).await);
        assert!(there >= replied_sqn, "{there} < {replied_sqn}: a sequence number would be used twice");
        store.close().await;
    }
}
