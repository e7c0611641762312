//! Cases about users, keys, policies, tokens and settings.

use model::UnixMillis;

use super::{START, create};
use crate::{AccessKey, Error, Policy, Store, Token, User};

fn key(id: &str, user: &str, at: UnixMillis) -> AccessKey {
    AccessKey {
        id: id.into(),
        user: user.into(),
        sealed_secret: vec![0, 255, 1],
        active: true,
        created_at: at,
    }
}

fn policy(name: &str, document: &str) -> Policy {
    Policy {
        name: name.into(),
        document: document.into(),
    }
}

pub async fn users_have_keys_and_policies<S: Store>(open: impl Fn() -> S) {
    let store = open();
    for name in ["zoe", "adam"] {
        store.user_add(name, START).await.unwrap();
    }
    let again = store.user_add("adam", START).await;
    assert!(matches!(again, Err(Error::Conflict)));
    store
        .key_add(key("k2", "zoe", START.plus(1)))
        .await
        .unwrap();
    store.key_add(key("k1", "zoe", START)).await.unwrap();
    let taken = store.key_add(key("k1", "adam", START)).await;
    assert!(matches!(taken, Err(Error::Conflict)));
    let nobody = store.key_add(key("k3", "eve", START)).await;
    assert!(matches!(nobody, Err(Error::NotFound)));
    for (name, document) in [("b", "{}"), ("a", "{}"), ("b", "{\"x\":1}")] {
        let put = store.policy_put("zoe", policy(name, document)).await;
        put.unwrap();
    }
    let nobody = store.policy_put("eve", policy("a", "{}")).await;
    assert!(matches!(nobody, Err(Error::NotFound)));
    assert!(store.key_set_active("k2", false).await.unwrap());
    assert!(!store.key_set_active("k9", false).await.unwrap());
    drop(store);
    let store = open();
    let zoe = User {
        name: "zoe".into(),
        created_at: START,
        keys: vec![
            key("k1", "zoe", START),
            AccessKey {
                active: false,
                ..key("k2", "zoe", START.plus(1))
            },
        ],
        policies: vec![policy("a", "{}"), policy("b", "{\"x\":1}")],
    };
    assert_eq!(store.user_get("zoe").await.unwrap(), Some(zoe.clone()));
    let list = store.user_list().await.unwrap();
    assert_eq!((list[0].name.as_str(), &list[1]), ("adam", &zoe));
    assert!(store.key_delete("k2").await.unwrap());
    assert!(!store.key_delete("k2").await.unwrap());
    assert!(store.policy_delete("zoe", "a").await.unwrap());
    assert!(!store.policy_delete("zoe", "a").await.unwrap());
    assert!(store.user_delete("zoe").await.unwrap());
    assert!(!store.user_delete("zoe").await.unwrap());
    assert_eq!(store.user_get("zoe").await.unwrap(), None);
    assert_eq!(store.key_get("k1").await.unwrap(), None);
    store.user_add("zoe", START).await.unwrap();
    let fresh = store.user_get("zoe").await.unwrap().unwrap();
    assert!(fresh.keys.is_empty() && fresh.policies.is_empty());
}

pub async fn tokens_expire_and_go_with_their_user<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let token = |id: &str, user: &str, life: i64| Token {
        id: id.into(),
        user: user.into(),
        sealed_secret: vec![1],
        token_hash: vec![2; 32],
        policy: String::new(),
        issuer: "key".into(),
        expires_at: START.plus(life),
    };
    store.user_add("zoe", START).await.unwrap();
    for (id, user, life) in [("root", "", 9_000), ("zoe", "zoe", 9_000), ("old", "", 10)] {
        let added = store.token_add(token(id, user, life), START).await;
        added.unwrap();
    }
    let old = store.token_get("old").await.unwrap();
    assert_eq!(old, Some(token("old", "", 10)));
    let added = store
        .token_add(token("new", "", 9_000), START.plus(11))
        .await;
    added.unwrap();
    assert_eq!(store.token_get("old").await.unwrap(), None);
    assert!(store.token_delete("new").await.unwrap());
    assert_eq!(store.token_get("new").await.unwrap(), None);
    assert!(!store.token_delete("new").await.unwrap());
    store.user_delete("zoe").await.unwrap();
    assert_eq!(store.token_get("zoe").await.unwrap(), None);
    assert!(store.token_get("root").await.unwrap().is_some());
}

pub async fn a_setting_is_stored_only_once<S: Store>(open: impl Fn() -> S) {
    let store = open();
    assert_eq!(store.setting_get("seal").await.unwrap(), None);
    let first = store.setting_put_new("seal", vec![1, 2]).await.unwrap();
    let second = store.setting_put_new("seal", vec![3]).await.unwrap();
    assert_eq!((first, second), (vec![1, 2], vec![1, 2]));
    drop(store);
    let store = open();
    assert_eq!(store.setting_get("seal").await.unwrap(), Some(vec![1, 2]));
}

pub async fn a_nonce_is_used_once_even_across_a_restart<S: Store>(open: impl Fn() -> S) {
    let expires = START.plus(100);
    let store = open();
    let hash = || vec![7; 32];
    assert!(store.nonce_burn(hash(), expires, START).await.unwrap());
    assert!(!store.nonce_burn(hash(), expires, START).await.unwrap());
    drop(store);
    let store = open();
    assert!(!store.nonce_burn(hash(), expires, expires).await.unwrap());
    let later = expires.plus(1);
    assert!(store.nonce_burn(hash(), later, later).await.unwrap());
}

pub async fn a_closed_store_says_so<S: Store>(open: impl Fn() -> S) {
    let store = open();
    store.ping().await.unwrap();
    let root = create(&store, 1, 1).await;
    store.close().await;
    store.close().await;
    let refused = [
        store.ping().await.err(),
        store.root_get(root).await.err(),
        store.root_cancel(root, START).await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::Unavailable(_))), "{error:?}");
    }
    // Closed means that the place is free, even while the old store is not dropped yet.
    let next = open();
    assert!(next.root_get(root).await.unwrap().is_some());
}
