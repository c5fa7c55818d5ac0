//! The manual of both listeners, over real sockets.

mod acting;
mod discovering;
mod schema;
pub(super) mod site;
mod waiting;

use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::*;
use crate::engine::control::Event;
use site::{Site, WEB, ask, get};

async fn check(address: SocketAddr, path: &str, status: u16, body: &str) {
    let got = get(address, path).await;
    assert_eq!((got.status, got.body.as_str()), (status, body), "{path}");
}

#[tokio::test]
async fn ready_means_synced_and_not_leaving() {
    let site = Site::open(None).await;
    let unready = "not synced: not every kind of object has been read yet";
    for path in ["/readyz", "/ready"] {
        check(site.http, path, 503, unready).await;
    }
    for path in ["/healthz", "/health"] {
        check(site.http, path, 200, "ok").await;
    }
    site.sync(&[]).await;
    for path in ["/readyz", "/ready"] {
        check(site.http, path, 200, "ready").await;
    }
    site.admin.leave();
    check(site.http, "/readyz", 503, "shutting down").await;
    check(site.http, "/healthz", 200, "ok").await;

    site.admin.shutdown().await;
    for address in [site.http, site.api] {
        assert!(TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test]
async fn the_age_of_data_ends_readiness_only_where_the_settings_say_so() {
    let lost = |ago: i64| Event::SourceLost {
        since: Some(Timestamp::now() - SignedDuration::from_secs(ago)),
        cause: "test".to_owned(),
    };
    for (limit, ago, is_ready) in [(0, 100_000, true), (90, 10, true), (90, 100, false)] {
        let site = Site::made(None, true, Duration::from_secs(limit), None).await;
        site.sync(&[]).await;
        site.engine.send(lost(ago)).await.unwrap();
        site.engine.list().await.unwrap();
        let got = get(site.http, "/readyz").await;
        match is_ready {
            true => assert_eq!((got.status, &*got.body), (200, "ready")),
            false => {
                assert_eq!(got.status, 503);
                // A second may pass meanwhile.
                assert!(
                    got.body.starts_with("the source was lost 10"),
                    "{}",
                    got.body
                );
            }
        }
        check(site.http, "/healthz", 200, "ok").await;
        site.engine.send(Event::SourceBack).await.unwrap();
        site.engine.list().await.unwrap();
        check(site.http, "/readyz", 200, "ready").await;
    }
}

#[tokio::test]
async fn a_cluster_that_is_followed_is_told_kind_by_kind() {
    let status = Arc::new(kubernetes::Status::new(
        std::time::Instant::now(),
        Arc::default(),
    ));
    let site = Site::made(None, true, Duration::ZERO, Some(Arc::clone(&status))).await;
    let unready = "not synced: not every kind of object has been read yet; missing: Namespace, Node, Deployment, \
                   StatefulSet, DaemonSet, ReplicaSet, ControllerRevision, Pod, ServiceRollout, Service, EndpointSlice";
    check(site.http, "/readyz", 503, unready).await;
    site.sync(&[]).await;
    let sources = site.json("/api/v1/sources").await;
    assert_eq!(sources["synced"], true);
    assert_eq!(sources["dataAgeSeconds"], 0);
    let kinds = sources["kubernetes"]["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), 11);
    assert_eq!(
        kinds[0],
        json!({"kind": "Namespace", "state": "starting", "synced": false, "ageSeconds": null, "objects": 0,
            "watchRestarts": 0, "lists": 0, "listsHeld": 0, "events": 0, "failures": 0, "decodeFailures": 0,
            "outdatedEvents": 0, "lastError": null})
    );
    assert_eq!(sources["kubernetes"]["clockOffsetSeconds"], Value::Null);
    let metrics = get(site.http, "/metrics").await.body;
    for line in [
        r#"shiftdns_watch_restarts_total{kind="Pod"} 0"#,
        r#"shiftdns_watch_up{kind="Pod"} 0"#,
        r#"shiftdns_watch_synced{kind="ServiceRollout"} 0"#,
        "# UNIT shiftdns_watch_age_seconds seconds",
    ] {
        assert!(metrics.lines().any(|got| got == line), "{line}\n{metrics}");
    }
    // It is told where nothing is followed, too.
    let site = Site::synced(None).await;
    assert_eq!(
        site.json("/api/v1/sources").await["kubernetes"],
        Value::Null
    );
    assert!(
        !get(site.http, "/metrics")
            .await
            .body
            .contains("shiftdns_watch_")
    );
}

#[tokio::test]
async fn metrics_tell_what_clients_asked_and_what_is_served() {
    let mut site = Site::synced(None).await;
    for _ in 0..4 {
        site.client_asks(WEB, 1);
    }
    site.client_asks("nothing.shop.svc.cluster.local", 28);
    let asked = format!("/api/v1/resolve?name={WEB}");
    site.json(&asked).await;

    let got = get(site.http, "/metrics").await;
    assert_eq!(got.status, 200);
    assert!(
        got.headers
            .contains("content-type: application/openmetrics-text; version=1.0.0")
    );
    assert!(got.body.ends_with("# EOF\n"));
    let lines: Vec<&str> = got.body.lines().collect();
    for line in [
        "# TYPE shiftdns_queries counter",
        r#"shiftdns_queries_total{transport="udp",type="A",rcode="NOERROR"} 4"#,
        r#"shiftdns_queries_total{transport="udp",type="AAAA",rcode="NXDOMAIN"} 1"#,
        r#"shiftdns_messages_dropped_total{transport="tcp"} 0"#,
        "# UNIT shiftdns_data_age_seconds seconds",
        "shiftdns_data_age_seconds 0",
        "shiftdns_synced 1",
        "shiftdns_engine_up 1",
        "shiftdns_generation 1",
        "shiftdns_services 2",
        "shiftdns_tcp_connections 0",
        r#"shiftdns_tcp_connections_closed_total{limit="idle"} 0"#,
        r#"shiftdns_objects{kind="Pod"} 4"#,
        r#"shiftdns_service_state{namespace="shop",service="web",state="Progressing"} 1"#,
        r#"shiftdns_track_state{namespace="shop",service="web",workload="Deployment/web",state="Progressing"} 1"#,
        r#"shiftdns_version_share_ratio{namespace="shop",service="web",version="v1",revision="aaa",role="stable"} 0.75"#,
        r#"shiftdns_version_endpoints{namespace="shop",service="web",version="v2",revision="bbb",role="canary"} 1"#,
        concat!(
            r#"shiftdns_build_info{version=""#,
            env!("CARGO_PKG_VERSION"),
            r#""} 1"#
        ),
    ] {
        assert!(lines.contains(&line), "{line} is missing in\n{}", got.body);
    }
    let names = format!("shiftdns_names {}", site.view.store.len());
    assert!(lines.contains(&names.as_str()));

    // Every query series is a client's: the API's own question is not counted.
    let series = |name: &str| -> Vec<u64> {
        let of_name = lines.iter().filter(|line| line.starts_with(name));
        let value = |line: &&str| line.rsplit(' ').next().unwrap().parse().unwrap();
        of_name.map(value).collect()
    };
    assert_eq!(series("shiftdns_queries_total"), [4, 1]);
    assert_eq!(series("shiftdns_answers_total").iter().sum::<u64>(), 4);
    assert_eq!(series("shiftdns_answers_total").len(), 2);
    let serial = series("shiftdns_zone_serial{zone=\"cluster.local.\"}");
    assert!(serial[0] > 0);
    assert!(series("shiftdns_problems")[0] > 0);
}

#[tokio::test]
async fn no_series_stands_for_a_name_that_clients_made_up() {
    let mut site = Site::synced(None).await;
    let mut lines = Vec::new();
    for round in 0..2 {
        for n in 0..500 {
            let name = format!("x{round}-{n}.shop.svc.cluster.local");
            site.client_asks(&name, 1);
        }
        lines.push(get(site.http, "/metrics").await.body.lines().count());
    }
    assert_eq!(lines[0], lines[1]);
}

#[tokio::test]
async fn services_are_listed_with_their_versions() {
    let site = Site::synced(None).await;
    let mut list = site.json("/api/v1/services").await;
    assert_eq!(list["generation"], 1);
    assert_eq!(list["synced"], true);
    let web = list["services"][1].take();
    let expected = json!({
        "namespace": "shop", "name": "web", "kind": "Headless", "state": "Progressing",
        "since": web["since"], "strategy": "manual", "ready": 4, "total": 4, "generation": 1,
        "ttl": 5, "target": {"alias": "v2", "hash": "bbb"},
        "versions": [
            {"alias": "v1", "hash": "aaa", "share": {"basisPoints": 7500, "text": "75.00%"},
                "ready": 3, "role": "stable"},
            {"alias": "v2", "hash": "bbb", "share": {"basisPoints": 2500, "text": "25.00%"},
                "ready": 1, "role": "canary"},
        ],
    });
    assert_eq!(web, expected);
}

#[tokio::test]
async fn a_service_is_told_in_full() {
    let site = Site::synced(None).await;
    let web = site.json("/api/v1/services/shop/web").await;
    assert_eq!(web["name"], "web");
    assert_eq!(web["uid"], "u-web");
    assert_eq!(
        web["annotations"],
        json!({"strategy": "manual", "weights": "v1=75,v2=25"})
    );
    assert_eq!(
        web["ports"],
        json!([{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}])
    );
    assert_eq!(web["policy"]["ttl"], json!({"endpoints": 5, "rollout": 5}));
    assert_eq!(
        web["versions"][1],
        json!({
            "alias": "v2", "hash": "bbb", "label": "v2", "workload": "Deployment shop/web",
            "revision": 2, "created": "2026-01-02T00:00:00Z", "pods": 1, "ready": 1, "soaked": 1,
            "share": {"basisPoints": 2500, "text": "25.00%"},
            "policy": {"basisPoints": 2500, "text": "25.00%"},
            "capacity": web["versions"][1]["capacity"],
            "reason": "policy", "role": "canary", "failed": null, "answered": null,
        })
    );
    let track = &web["tracks"][0];
    assert_eq!(
        web["tracks"],
        json!([{
            "workload": "Deployment shop/web", "replicas": 4, "maxUnavailable": 1, "paused": false,
            "complete": false, "state": "Progressing", "since": track["since"], "kind": "update",
            "started": track["started"],
            "target": {"alias": "v2", "hash": "bbb"}, "stable": {"alias": "v1", "hash": "aaa"},
            "wanted": null, "step": null, "nextMove": null, "note": null,
            "digest": track["digest"], "latches": [],
        }])
    );
    assert_eq!(track["digest"].as_str().unwrap().len(), 16);
    assert_eq!(web["ttl"], 5);
    for key in ["cutOver", "held"] {
        assert_eq!(web[key], Value::Null, "{key}");
    }
    assert_eq!(web["drains"], json!([]));
    assert_eq!(web["policy"]["onFailure"], "shift-back");
    assert_eq!(
        web["endpoints"][3],
        json!({
            "address": "10.0.0.4", "version": {"alias": "v2", "hash": "bbb"}, "answered": true,
            "ready": true, "serving": true, "terminating": false, "pod": "web-4",
            "hostname": null, "zone": "zone-a", "node": "node-1", "readySince": null, "soaked": true,
            "restarts": 0,
        })
    );
    let explained = web["explain"].as_str().unwrap();
    assert!(explained.starts_with("service shop/web: Progressing since"));
}

#[tokio::test]
async fn questions_are_answered_as_clients_would_be() {
    let site = Site::synced(None).await;
    let path = format!("/api/v1/resolve?name={WEB}&type=a&client=10.9.9.9");
    let answer = site.json(&path).await;
    assert_eq!(answer["status"], "NOERROR");
    assert_eq!(answer["flags"], json!(["qr", "aa", "rd"]));
    let asked = format!("{WEB}.");
    assert_eq!(answer["question"], json!({"name": asked, "type": "A"}));
    let rows = answer["answers"].as_array().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        assert_eq!((&row["name"], &row["type"]), (&json!(asked), &json!("A")));
        let address: Ipv4Addr = row["data"].as_str().unwrap().parse().unwrap();
        assert!((1..=4).any(|n| address == Ipv4Addr::new(10, 0, 0, n)));
        let line = format!("{asked}\t{}\tIN\tA\t{address}", row["ttl"]);
        assert!(answer["text"].as_str().unwrap().contains(&line));
    }

    let path = format!("/api/v1/resolve?name=_http._tcp.{WEB}&type=SRV");
    let answer = site.json(&path).await;
    assert_eq!(answer["answers"][0]["type"], "SRV");
    assert!(!answer["additional"].as_array().unwrap().is_empty());

    let answer = site
        .json("/api/v1/resolve?name=nothing.shop.svc.cluster.local")
        .await;
    assert_eq!(answer["status"], "NXDOMAIN");
    assert_eq!(answer["answers"], json!([]));
    assert_eq!(answer["authority"][0]["type"], "SOA");
    assert!(
        answer["text"]
            .as_str()
            .unwrap()
            .contains("status: NXDOMAIN")
    );

    let answer = site.json("/api/v1/resolve?name=example.com&type=TXT").await;
    assert_eq!(answer["status"], "REFUSED");
    assert_eq!(
        answer["ede"],
        json!([{"code": 20, "text": "Not Authoritative"}])
    );
}

#[tokio::test]
async fn before_the_first_objects_names_are_not_answered() {
    let site = Site::open(None).await;
    let answer = site.json(&format!("/api/v1/resolve?name={WEB}")).await;
    assert_eq!(answer["status"], "SERVFAIL");
    assert_eq!(answer["ede"], json!([{"code": 14, "text": "Not Ready"}]));
}

#[tokio::test]
async fn problems_are_listed() {
    let site = Site::synced(None).await;
    let list = site.json("/api/v1/problems").await;
    let odd = list["problems"].as_array().unwrap().iter();
    let odd: Vec<&Value> = odd.filter(|p| p["subject"] == "service shop/odd").collect();
    assert!(!odd.is_empty(), "{list}");
    let text = odd[0]["text"].as_str().unwrap();
    assert!(text.contains("v2=-1"), "{text}");
    assert_eq!(odd[0]["message"], format!("service shop/odd: {text}"));
    assert_eq!(odd[0]["origin"], Value::Null);
}

#[tokio::test]
async fn what_cannot_be_answered_is_an_error_in_json() {
    let site = Site::synced(None).await;
    for (method, path, status, error) in [
        (
            "GET",
            "/",
            404,
            "there is nothing here; see `/api/v1/services`",
        ),
        (
            "GET",
            "/api/v1/services/shop",
            404,
            "there is nothing here; see `/api/v1/services`",
        ),
        (
            "GET",
            "/api/v1/services/shop/x",
            404,
            "there is no service `shop/x`",
        ),
        (
            "GET",
            "/api/v1/services/shop/..%2fweb",
            404,
            "there is no service `shop/../web`",
        ),
        ("POST", "/api/v1/services", 405, "not with this method"),
        (
            "DELETE",
            "/api/v1/resolve?name=a",
            405,
            "not with this method",
        ),
        (
            "GET",
            "/api/v1/resolve?name=a..b",
            400,
            "`a..b` is not a name: ",
        ),
        (
            "GET",
            "/api/v1/resolve?name=a&type=FOO",
            400,
            "`FOO` is not a record type",
        ),
        (
            "GET",
            "/api/v1/resolve?name=a&client=me",
            400,
            "client `me` is not an IP address",
        ),
        ("GET", "/api/v1/resolve", 400, "`name` is missing"),
        (
            "GET",
            "/api/v1/resolve?nam=a",
            400,
            "there is no parameter `nam` here; known are `name`, `type`, `client`",
        ),
        (
            "GET",
            "/api/v1/services/shop/%ff",
            400,
            "Invalid URL: Invalid UTF-8",
        ),
    ] {
        let host = format!("host: {}\r\n", site.api);
        let got = ask(site.api, method, path, &host).await;
        assert_eq!(got.status, status, "{method} {path}");
        let body: Value = serde_json::from_str(&got.body).unwrap();
        let told = body["error"].as_str().unwrap();
        assert!(told.starts_with(error), "{method} {path}: {told}");
        for header in [
            "content-type: application/json",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "connection: close",
        ] {
            assert!(got.headers.contains(header), "{method} {path}: {header}");
        }
        assert_eq!(
            got.headers.contains("allow: get,head"),
            status == 405,
            "{path}"
        );
    }
    check(site.http, "/nothing", 404, "not found").await;
}

#[tokio::test]
async fn without_the_token_nothing_is_told() {
    let site = Site::synced(Some("s3cret")).await;
    for path in ["/api/v1/services", "/nothing"] {
        for bearer in ["", "authorization: Bearer wrong\r\n"] {
            let headers = format!("host: {}\r\n{bearer}", site.api);
            let got = ask(site.api, "GET", path, &headers).await;
            assert_eq!(got.status, 401, "{path} {bearer}");
            assert!(got.headers.contains("www-authenticate: bearer"));
            assert!(got.body.starts_with(r#"{"error":"a token is wanted"#));
        }
    }
    // Under any name: a page that makes a browser ask does not have the token.
    let headers = "host: dns.example\r\nauthorization: Bearer s3cret\r\n";
    let got = ask(site.api, "GET", "/api/v1/services", headers).await;
    assert_eq!(got.status, 200);
    check(site.http, "/healthz", 200, "ok").await;
}

#[tokio::test]
async fn without_a_token_foreign_hosts_are_refused() {
    let site = Site::synced(None).await;
    let got = ask(
        site.api,
        "GET",
        "/api/v1/services",
        "host: evil.example\r\n",
    )
    .await;
    assert_eq!(got.status, 403);
    assert!(got.body.starts_with(r#"{"error":"without a token"#));
    let got = ask(
        site.api,
        "GET",
        "/api/v1/services",
        "host: localhost:9154\r\n",
    )
    .await;
    assert_eq!(got.status, 200);
}

#[tokio::test]
async fn an_address_in_use_is_told_with_the_flag_to_change() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let free = Settings {
        http: any,
        api: any,
        rules: Rules::new(Some("s3cret"), false, Duration::ZERO),
    };
    assert!(!format!("{free:?}").contains("s3cret"));
    let held = bind(&free).await.unwrap();
    let taken = Settings {
        api: held.http(),
        ..free
    };
    let error = bind(&taken).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} (api): address in use; stop the process that holds it, or listen on another port",
            held.http()
        )
    );
}
