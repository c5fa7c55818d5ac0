//! What people ask of roll-outs over the API, and what is told of them.

use serde_json::{Value, json};

use super::site::{Site, WEB, get, send, shop};

/// Posts to `/api/v1/services/shop/...` and compares status and body; in the body only the keys that are expected.
async fn check(site: &Site, path: &str, headers: &str, body: &str, status: u16, expected: Value) {
    let path = format!("/api/v1/services/shop/{path}");
    let headers = format!("host: {}\r\n{headers}", site.api);
    let got = send(site.api, "POST", &path, &headers, body).await;
    let told: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(got.status, status, "{path} {headers} {body}: {told}");
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&told[key], value, "{path} {headers} {body}");
    }
}

const JSON: &str = "content-type: application/json\r\n";

async fn state(site: &Site) -> (Value, Value) {
    let mut web = site.json("/api/v1/services/shop/web").await;
    (web["state"].take(), web["policy"]["intents"].take())
}

#[tokio::test]
async fn a_roll_out_is_paused_resumed_aborted_and_retried() {
    let site = Site::synced(None).await;
    let done = |done: &str| {
        json!({"namespace": "shop", "name": "web", "workload": "Deployment shop/web", "target": "bbb",
            "done": done})
    };
    check(&site, "web/pause", "", "", 200, done("paused")).await;
    let (paused, intents) = state(&site).await;
    assert_eq!(paused, "Paused");
    let expected = json!({"promote": {}, "pause": ["bbb"], "abort": [], "retry": {}});
    assert_eq!(intents, expected);
    check(&site, "web/resume", JSON, "{}", 200, done("resumed")).await;
    let named = r#"{"workload": "web"}"#;
    check(&site, "web/abort", JSON, named, 200, done("aborted")).await;
    assert_eq!(state(&site).await.0, "Aborted");
    check(&site, "web/retry", "", "", 200, done("retried")).await;
    let full = r#"{"full": true}"#;
    let promoted = done("promoted in full");
    check(&site, "web/promote", JSON, full, 200, promoted).await;

    let history = site.json("/api/v1/services/shop/web/history").await;
    assert_eq!(history["name"], "web");
    let transitions = history["transitions"].as_array().unwrap();
    let told: Vec<_> = transitions
        .iter()
        .map(|t| (&t["from"], &t["to"], &t["result"]))
        .collect();
    let aborted = (&json!("Progressing"), &json!("Aborted"), &json!("Aborted"));
    assert!(told.contains(&aborted), "{told:?}");
    assert_eq!(told[0].0, &Value::Null);
    let cause = transitions.iter().find(|t| t["to"] == "Aborted").unwrap();
    assert_eq!(cause["cause"], "aborted by hand");
    assert_eq!(cause["workload"], "Deployment shop/web");
}

/// Where it is to be written is asked with GET, also where actions are off; and nothing is done.
#[tokio::test]
async fn what_would_be_done_is_told_without_doing_it() {
    let site = Site::with(None, false).await;
    site.sync(&shop()).await;
    let planned = async |path: &str| site.json(&format!("/api/v1/services/shop/{path}")).await;
    let expected = |done: &str| {
        json!({"namespace": "shop", "name": "web", "uid": "u-web", "workload": "Deployment shop/web",
            "target": "bbb", "done": done, "place": null, "edits": [], "command": null})
    };
    assert_eq!(planned("web/pause").await, expected("paused"));
    let full = planned("web/promote?full=true&workload=web").await;
    assert_eq!(full, expected("promoted in full"));
    assert_eq!(state(&site).await.0, "Progressing");
    for (path, status, error) in [
        ("odd/pause", 409, "nothing is rolling out"),
        ("wob/pause", 404, "there is no service `shop/wob`"),
        ("web/abort?full=true", 400, "`full` is for `promote` alone"),
        (
            "web/stop",
            404,
            "there is nothing here; see `/api/v1/services`",
        ),
    ] {
        let got = get(site.api, &format!("/api/v1/services/shop/{path}")).await;
        let told: Value = serde_json::from_str(&got.body).unwrap();
        assert_eq!(
            (got.status, &told["error"]),
            (status, &json!(error)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_told_with_its_reason() {
    let site = Site::synced(None).await;
    for (path, headers, body, status, error) in [
        ("wob/pause", "", "", 404, "there is no service `shop/wob`"),
        (
            "web/stop",
            "",
            "",
            404,
            "there is nothing here; see `/api/v1/services`",
        ),
        ("odd/pause", "", "", 409, "nothing is rolling out"),
        (
            "web/promote",
            "",
            "",
            409,
            "strategy `manual` has no step to promote to; promote in full",
        ),
        (
            "web/resume",
            "",
            "",
            409,
            "revision `bbb` is not paused by hand",
        ),
        (
            "web/pause",
            JSON,
            r#"{"workload": "wob"}"#,
            404,
            "no workload `wob` is behind the service; there is `Deployment/web`",
        ),
        (
            "web/abort",
            JSON,
            r#"{"full": true}"#,
            400,
            "`full` is for `promote` alone",
        ),
        (
            "web/abort",
            "content-type: text/plain\r\n",
            "{}",
            415,
            "the body is read as JSON only: `content-type: application/json`",
        ),
        (
            "web/abort",
            JSON,
            r#"{"ful": true}"#,
            400,
            "the body cannot be read: unknown field `ful`, expected `full` or `workload` at line 1 column 6",
        ),
    ] {
        let expected = json!({"error": error});
        check(&site, path, headers, body, status, expected).await;
    }
    let long = format!(r#"{{"workload": "{}"}}"#, "w".repeat(5000));
    check(&site, "web/abort", JSON, &long, 413, json!({})).await;
    assert_eq!(state(&site).await.1["abort"], json!([]));

    let unread = Site::open(None).await;
    let expected = "not every kind of object has been read yet; try again in a moment";
    check(
        &unread,
        "web/abort",
        "",
        "",
        503,
        json!({"error": expected}),
    )
    .await;
}

#[tokio::test]
async fn nothing_is_done_where_actions_are_off_or_for_a_page_from_elsewhere() {
    let off = Site::with(None, false).await;
    off.sync(&shop()).await;
    let expected = "actions are off; set `api.actions: true` in the configuration";
    check(&off, "web/pause", "", "", 403, json!({"error": expected})).await;
    assert_eq!(state(&off).await.1["pause"], json!([]));
    // What is read is read all the same.
    off.json("/api/v1/services/shop/web/history").await;

    let site = Site::synced(None).await;
    let expected = json!({"error": "a page of another origin may ask nothing here"});
    let page = "origin: https://evil.example\r\n";
    check(&site, "web/pause", page, "", 403, expected).await;
    assert_eq!(state(&site).await.1["pause"], json!([]));

    let guarded = Site::synced(Some("s3cret")).await;
    check(&guarded, "web/pause", "", "", 401, json!({})).await;
    let bearer = "authorization: Bearer s3cret\r\n";
    check(&guarded, "web/pause", bearer, "", 200, json!({})).await;
}

#[tokio::test]
async fn what_was_answered_lately_is_told_by_version() {
    let mut site = Site::synced(None).await;
    for _ in 0..100 {
        site.client_asks(WEB, 1);
    }
    let web = site.json("/api/v1/services/shop/web").await;
    let answered = |version: usize| &web["versions"][version]["answered"];
    let answers = |version| answered(version)["answers"].as_u64().unwrap();
    assert_eq!(answers(0) + answers(1), 100);
    let points = answered(1)["share"]["basisPoints"].as_u64().unwrap();
    assert_eq!(points, answers(1) * 100);
    // By weights 75 and 25, within the bound of the draw.
    assert!((17..=33).contains(&answers(1)), "{web}");
    let explained = web["explain"].as_str().unwrap();
    assert!(
        explained.contains("answered in the last minute"),
        "{explained}"
    );
}
