//! Blocking queries: who asks with the index that was seen is answered once there is more.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::site::{Got, Site, get, shop};
use crate::admin::door::Stay;
use crate::admin::params::Given;
use crate::admin::waits::{Asked, NoWait, Waits};
use crate::engine::Subject;
use crate::model::ServiceKey;

const HEALTH: &str = "/v1/health/service/web.shop";
const CATALOGUE: &str = "/v1/catalog/services";

fn index(got: &Got) -> u64 {
    assert_eq!(got.status, 200, "{}", got.body);
    got.header("x-consul-index").unwrap().parse().unwrap()
}

/// The shop with another object in place of the one of this kind and name, or beside them.
fn web(weights: &str) -> Value {
    let mut web = shop().remove(1);
    web["metadata"]["annotations"]["shiftdns.io/weights"] = json!(weights);
    web
}

fn cluster_ip(name: &str, number: u16) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": name},
        "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": number}]}})
}

fn slice(of: &str, address: &str, ready: bool) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": "shop", "name": format!("{of}-1"), "labels": {"kubernetes.io/service-name": of}},
        "addressType": "IPv4", "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
        "ports": [{"name": "http", "port": 8080}]})
}

#[tokio::test]
async fn who_has_seen_a_service_is_answered_when_it_moves() {
    let site = Site::synced(None).await;
    let first = index(&get(site.api, HEALTH).await);
    let api = site.api;
    let path = format!("{HEALTH}?passing&index={first}&wait=10m");
    let waits = tokio::spawn(async move { get(api, &path).await });
    // It has been asked before this is.
    site.json("/api/v1/services").await;
    site.apply(web("v1=100,v2=0")).await;
    let got = waits.await.unwrap();
    assert!(index(&got) > first);
    let list: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_service_moves_by_nothing_but_itself() {
    let site = Site::synced(None).await;
    site.apply(cluster_ip("db", 1)).await;
    site.apply(slice("db", "10.0.1.1", true)).await;
    let seen = async |service: &str| {
        let path = format!("/v1/health/service/{service}.shop");
        index(&get(site.api, &path).await)
    };
    let (web_seen, db_seen) = (seen("web").await, seen("db").await);
    let catalogue = index(&get(site.api, CATALOGUE).await);
    // The address of a cluster IP stays, and no name changes.
    site.apply(slice("db", "10.0.1.2", true)).await;
    let moved = seen("db").await;
    assert!(moved > db_seen);
    assert_eq!(seen("web").await, web_seen);
    assert_eq!(index(&get(site.api, CATALOGUE).await), catalogue);
    // What is read again as it was moves nothing.
    site.apply(slice("db", "10.0.1.2", true)).await;
    assert_eq!(seen("db").await, moved);
    site.apply(slice("db", "10.0.1.2", false)).await;
    let unready = seen("db").await;
    assert!(unready > moved);
    // And who waits in vain is told so with the index that was seen.
    let path = format!("{HEALTH}?index={web_seen}&wait=1ms");
    assert_eq!(index(&get(site.api, &path).await), web_seen);
}

#[tokio::test]
async fn the_catalogue_moves_when_a_service_comes_or_goes() {
    let site = Site::synced(None).await;
    let first = index(&get(site.api, CATALOGUE).await);
    let missing = "/v1/health/service/db.shop";
    let before = get(site.api, missing).await;
    assert_eq!(before.body, "[]");
    let api = site.api;
    let wait = |path: String| tokio::spawn(async move { get(api, &path).await });
    let list = wait(format!("{CATALOGUE}?index={first}"));
    let comes = wait(format!("{missing}?index={}", index(&before)));
    site.json("/api/v1/services").await;
    site.apply(cluster_ip("db", 1)).await;
    let came = comes.await.unwrap();
    assert!(index(&came) > index(&before));
    // Without endpoints it is not in the list.
    site.apply(slice("db", "10.0.1.1", true)).await;
    let list = list.await.unwrap();
    assert!(index(&list) > first);
    assert!(list.body.contains(r#""db.shop":["#), "{}", list.body);

    let there = index(&get(site.api, missing).await);
    site.sync(&shop()).await;
    let gone = get(site.api, missing).await;
    assert_eq!(gone.body, "[]");
    assert!(index(&gone) > there);
}

#[tokio::test]
async fn an_index_of_another_time_is_answered_at_once() {
    let site = Site::synced(None).await;
    let seen = index(&get(site.api, HEALTH).await);
    for other in [1, seen - 1, seen + 1000, u64::MAX] {
        let path = format!("{HEALTH}?index={other}&wait=10m");
        assert_eq!(index(&get(site.api, &path).await), seen, "{other}");
    }
}

#[tokio::test]
async fn those_who_wait_are_counted_and_sent_away_at_the_end() {
    let site = Site::synced(None).await;
    let (stop, stopping) = watch::channel(false);
    let waits = Waits::new(SystemTime::now(), stopping).with_places(1);
    let waits = Arc::new(waits);
    let web = || Subject::Service(ServiceKey::new("shop", "web"));
    let asked = |index: u64| {
        let uri = format!("/x?index={index}&wait=10m").parse().unwrap();
        Asked::read(&Given::read(&uri, &["index", "wait"]).unwrap()).unwrap()
    };
    let stay = Stay::nowhere();
    let ask = |index: u64, stay: &Stay| {
        let (waits, engine, stay) = (Arc::clone(&waits), site.engine.clone(), stay.clone());
        async move { waits.index(&engine, web(), asked(index), &stay).await }
    };
    let seen = ask(0, &stay).await.unwrap();
    assert!(seen > waits.base());
    let one = tokio::spawn(ask(seen, &stay));
    while waits.free() > 0 {
        site.engine.list().await.unwrap();
    }
    let full = ask(seen, &Stay::nowhere()).await;
    assert!(matches!(full, Err(NoWait::Full)), "{full:?}");
    stop.send_replace(true);
    assert!(matches!(one.await.unwrap(), Err(NoWait::Stopping)));
    // The connection has the place until it ends.
    assert_eq!(waits.free(), 0);
    drop(stay);
    assert_eq!(waits.free(), 1);
}
