use super::*;
use coeur_model::{Dnn, DnnSubscription, PduSessionId, Secret, SliceSubscription, Snssai, SubscriptionProfile, Supi};
use coeur_nf::store::{StoreError, StoreOp, StoreReply};

fn supi(n: u64) -> Supi {
    Supi::from_imsi(&format!("00101{n:010}")).unwrap()
}

fn profile() -> SubscriptionProfile {
    let dnns = vec![DnnSubscription::new(Dnn::new("internet").unwrap())];
    let slices = vec![SliceSubscription { snssai: Snssai::new(1, None), default: true, dnns }];
    SubscriptionProfile { ue_ambr: Default::default(), slices }
}

fn subscriber(n: u64) -> NewSubscriber {
    let (k, opc) = (Secret::new([n as u8; 16]), Secret::new([0xAA; 16]));
    NewSubscriber { supi: supi(n), k, opc, amf: [0x80, 0], sqn: 0, profile: profile() }
}

/// Submits, and waits for as many replies.
async fn carry_out(writer: &mut Writer<usize>, operations: Vec<StoreOp>) -> Vec<Result<StoreReply, StoreError>> {
    let count = operations.len();
    writer.submit(operations.into_iter().enumerate().collect());
    let mut replies = Vec::new();
    while replies.len() < count {
        writer.replies(&mut replies).await;
    }
    assert!(replies.iter().map(|(tag, _)| *tag).eq(0..count), "replies keep the order of the operations");
    replies.into_iter().map(|(_, reply)| reply).collect()
}

fn sqn(reply: &Result<StoreReply, StoreError>) -> u64 {
    match reply {
        Ok(StoreReply::Authentication(subscription)) => subscription.sqn,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_sqn_is_given_out_once_whatever_the_grouping_and_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let reserve = || StoreOp::ReserveSqn { supi: supi(1) };
    let mut given = Vec::new();
    for _ in 0..2 {
        let store = Store::open(folder.path()).await.unwrap();
        drop(store.add_subscriber(subscriber(1)).await);
        let mut writer = store.writer();
        for group in [1, 3] {
            let operations = std::iter::repeat_with(reserve).take(group).collect();
            given.extend(carry_out(&mut writer, operations).await.iter().map(sqn));
        }
        drop(writer);
        store.close().await;
    }
    // SEQ and IND each go up by one.
    assert_eq!(given, (1..=8).map(|n| n << 5 | n).collect::<Vec<u64>>());
}

#[tokio::test]
async fn the_sqn_wraps_within_48_bits_and_follows_the_phone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.add_subscriber(NewSubscriber { sqn: (1 << 48) - 1, ..subscriber(1) }).await.unwrap();
    let mut writer = store.writer();
    let resynchronise = StoreOp::ResynchroniseSqn { supi: supi(1), sqn_ms: 1_000 << 5 | 31 };
    let read = StoreOp::ReadAuthentication { supi: supi(1) };
    let replies = carry_out(&mut writer, vec![StoreOp::ReserveSqn { supi: supi(1) }]).await;
    assert_eq!(sqn(&replies[0]), 0);
    let replies = carry_out(&mut writer, vec![resynchronise]).await;
    assert_eq!(sqn(&replies[0]), 1_001 << 5);
    let replies = carry_out(&mut writer, vec![read]).await;
    let Ok(StoreReply::Authentication(subscription)) = &replies[0] else { panic!("{replies:?}") };
    assert_eq!((subscription.sqn, subscription.k.expose(), subscription.amf), (1_001 << 5, &[1; 16], [0x80, 0]));
}

#[tokio::test]
async fn one_unknown_subscriber_in_a_group_is_nobody_elses_affair() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.add_subscriber(subscriber(1)).await.unwrap();
    let mut writer = store.writer();
    let operations = vec![
        StoreOp::ReserveSqn { supi: supi(9) },
        StoreOp::ReserveSqn { supi: supi(1) },
        StoreOp::ReadProfile { supi: supi(9) },
        StoreOp::ReadProfile { supi: supi(1) },
        StoreOp::ReadAuthentication { supi: supi(9) },
        StoreOp::ResynchroniseSqn { supi: supi(9), sqn_ms: 5 },
    ];
    let replies = carry_out(&mut writer, operations).await;
    for unknown in [0, 2, 4, 5] {
        assert_eq!(replies[unknown], Err(StoreError::NotFound), "operation {unknown}");
    }
    assert_eq!(sqn(&replies[1]), 33);
    assert_eq!(replies[3], Ok(StoreReply::Profile(Box::new(profile()))));
}

#[tokio::test]
async fn contexts_come_back_as_they_were_last_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut writer = store.writer();
    let session = |id| PduSessionId::new(id).unwrap();
    let put = |n, record: &[u8]| StoreOp::PutUe { supi: supi(n), record: record.to_vec() };
    let mut operations: Vec<_> = (0..200).map(|n| put(n, b"first")).collect();
    operations.extend([put(0, b"second"), StoreOp::RemoveUe { supi: supi(1) }, StoreOp::RemoveUe { supi: supi(999) }]);
    for id in [1, 2] {
        operations.push(StoreOp::PutSession { supi: supi(0), session: session(id), record: vec![id] });
    }
    assert!(carry_out(&mut writer, operations).await.iter().all(|reply| *reply == Ok(StoreReply::Done)));
    let remove = StoreOp::RemoveSession { supi: supi(0), session: session(1) };
    carry_out(&mut writer, vec![remove, put(2, b"third")]).await;
    drop(writer);
    store.close().await;
    drop(store);

    let (ues, sessions) = Store::open(folder.path()).await.unwrap().load().await.unwrap();
    let record = |n| ues.iter().find(|ue| ue.supi == supi(n)).map(|ue| ue.record.as_slice());
    assert_eq!((ues.len(), record(0), record(1), record(2)), (199, Some(&b"second"[..]), None, Some(&b"third"[..])));
    assert_eq!(sessions.len(), 1);
    assert_eq!((sessions[0].session, sessions[0].record.as_slice()), (session(2), &[2][..]));
}

#[tokio::test]
async fn administration_adds_lists_changes_and_removes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.import_subscribers((0..5).map(subscriber).collect()).await, Ok(5));
    let doubled = vec![subscriber(7), subscriber(3), subscriber(8)];
    let refused = Err((Some(1), SubscriberError::Exists(supi(3))));
    assert_eq!(store.import_subscribers(doubled).await, refused, "all or nothing");
    assert_eq!(store.count_subscribers().await, Ok(5));

    let page = store.list_subscribers(Some(&supi(1)), 2).await.unwrap();
    assert!(page.iter().map(|subscriber| &subscriber.supi).eq([&supi(2), &supi(3)]));
    let mut changed = profile();
    changed.slices[0].default = false;
    assert_eq!(store.update_profile(&supi(2), changed.clone()).await.unwrap().profile, changed);
    assert_eq!(store.update_profile(&supi(9), changed).await, Err(SubscriberError::NotFound));
    store.remove_subscriber(&supi(2)).await.unwrap();
    assert_eq!(store.remove_subscriber(&supi(2)).await, Err(SubscriberError::NotFound));
    assert_eq!(store.subscriber(&supi(2)).await, Err(SubscriberError::NotFound));
    let mut writer = store.writer();
    let replies = carry_out(&mut writer, vec![StoreOp::ReserveSqn { supi: supi(2) }]).await;
    assert_eq!(replies[0], Err(StoreError::NotFound), "a removed subscriber cannot authenticate");
}

#[tokio::test]
async fn keys_are_not_in_the_file_and_a_wrong_master_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secret = *b"SIXTEEN OCTETS K";
    let store = Store::open(folder.path()).await.unwrap();
    store.add_subscriber(NewSubscriber { k: Secret::new(secret), ..subscriber(1) }).await.unwrap();
    assert!(matches!(Store::open(folder.path()).await, Err(OpenError::InUse { .. })));
    store.close().await;
    drop(store);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!octets.windows(16).any(|window| window == secret), "K lies in clear on the disk");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let key = folder.path().join(MASTER_KEY_FILE);
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::write(&key, "00".repeat(32)).unwrap();
    assert!(matches!(Store::open(folder.path()).await, Err(OpenError::WrongKey { .. })));
    std::fs::write(&key, "zz").unwrap();
    assert!(matches!(Store::open(folder.path()).await, Err(OpenError::MalformedKey { .. })));
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(Store::open(folder.path()).await, Err(OpenError::File { .. })), "a lost key is not replaced");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_says_so_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut writer = store.writer();
    sqlx::query("ALTER TABLE ue RENAME TO elsewhere").execute(&store.pool).await.unwrap();
    let put = || vec![StoreOp::PutUe { supi: supi(1), record: vec![1] }];
    assert!(matches!(&carry_out(&mut writer, put()).await[0], Err(StoreError::Unavailable(_))));
    sqlx::query("ALTER TABLE elsewhere RENAME TO ue").execute(&store.pool).await.unwrap();
    assert_eq!(carry_out(&mut writer, put()).await[0], Ok(StoreReply::Done));
}

#[tokio::test]
async fn more_operations_than_may_wait_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut writer = store.writer();
    let operations = (0..=OPERATIONS_MAX).map(|tag| (tag, StoreOp::RemoveUe { supi: supi(1) }));
    writer.submit(operations.collect());
    let mut replies = Vec::new();
    writer.replies(&mut replies).await;
    assert_eq!(replies.len(), OPERATIONS_MAX + 1);
    assert!(replies.iter().all(|(_, reply)| matches!(reply, Err(StoreError::Unavailable(_)))));
    assert_eq!(writer.outstanding(), 0);
}
