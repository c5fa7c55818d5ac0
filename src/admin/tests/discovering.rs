//! What discovery clients are told, in the words of those who made them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::schema;
use super::site::{Site, WEB, ask, get, shop};

/// Everything that a client may ask for, in a form that is answered.
const PATHS: [&str; 9] = [
    "/sd/prometheus",
    "/v1/catalog/services",
    "/v1/catalog/datacenters",
    "/v1/catalog/service/web.shop",
    "/v1/health/service/web.shop",
    "/v1/agent/self",
    "/resolve?name=web.shop.svc.cluster.local",
    "/api/v1/resolve?name=web.shop.svc.cluster.local",
    "/openapi.json",
];

/// The shop with other weights.
fn weighted(weights: &str) -> Vec<Value> {
    let mut shop = shop();
    let annotations = &mut shop[1]["metadata"]["annotations"];
    annotations["shiftdns.io/weights"] = json!(weights);
    // Whatever the pods of a version could carry.
    annotations["shiftdns.io/clamp"] = json!("off");
    shop
}

/// The shop, of whose endpoints the first is not ready, and serves on while it terminates.
fn leaving() -> Vec<Value> {
    let mut shop = shop();
    let slice = shop.last_mut().unwrap();
    slice["endpoints"][0]["conditions"] =
        json!({"ready": false, "serving": true, "terminating": true});
    slice["endpoints"][1]["conditions"] = json!({"ready": false});
    slice["ports"] = json!([{"name": "http", "port": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "metrics", "port": 9090}]);
    shop
}

#[tokio::test]
async fn targets_are_ready_endpoints_with_what_is_known_of_them() {
    let site = Site::synced(None).await;
    let expected = json!([{"targets": ["10.0.0.4:8080"], "labels": {
        "__meta_shiftdns_namespace": "shop", "__meta_shiftdns_service": "web",
        "__meta_shiftdns_service_kind": "Headless",
        "__meta_shiftdns_version": "v2", "__meta_shiftdns_revision": "bbb", "__meta_shiftdns_role": "canary",
        "__meta_shiftdns_share": "25.00", "__meta_shiftdns_workload": "Deployment/web",
        "__meta_shiftdns_pod": "web-4", "__meta_shiftdns_node": "node-1", "__meta_shiftdns_zone": "zone-a",
        "__meta_shiftdns_port_name": "http", "__meta_shiftdns_port": "8080"}}]);
    assert_eq!(site.json("/sd/prometheus?version=v2").await, expected);
    assert_eq!(site.json("/sd/prometheus?version=bbb").await, expected);

    site.sync(&leaving()).await;
    let targets = async |query: &str| -> Vec<String> {
        let list = site.json(&format!("/sd/prometheus{query}")).await;
        let groups = list.as_array().unwrap().iter();
        let targets = groups.flat_map(|group| group["targets"].as_array().unwrap());
        let mut targets: Vec<String> = targets
            .map(|target| target.as_str().unwrap().to_owned())
            .collect();
        targets.sort();
        targets
    };
    let all = [
        "10.0.0.3:8080",
        "10.0.0.3:9090",
        "10.0.0.4:8080",
        "10.0.0.4:9090",
    ];
    assert_eq!(targets("").await, all);
    for (query, expected) in [
        ("?namespace=shop&service=web", &all[..]),
        ("?namespace=bank&namespace=shop", &all),
        ("?namespace=bank", &[]),
        ("?service=web&namespace=bank", &[]),
        ("?service=nothing", &[]),
        ("?port=metrics", &["10.0.0.3:9090", "10.0.0.4:9090"]),
        ("?port=metrics&version=v1", &["10.0.0.3:9090"]),
        ("?port=dns", &[]),
        ("?version=v1&version=v2", &all),
        ("?version=v3", &[]),
    ] {
        assert_eq!(targets(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_list_of_many_services_has_all_of_them() {
    let site = Site::open(None).await;
    let mut objects = shop();
    for n in 0..100 {
        let name = format!("s{n:02}");
        objects.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": name},
            "spec": {"clusterIP": format!("10.96.1.{n}"), "ports": [{"port": 80}]}}));
        objects.push(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"namespace": "shop", "name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "endpoints": [{"addresses": [format!("10.1.0.{n}")], "conditions": {}}],
            "ports": [{"port": 80}]}));
    }
    site.sync(&objects).await;
    let list = site.json("/sd/prometheus").await;
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 104);
    let of = |name: &str| {
        let mut groups = list.iter();
        groups.find(|group| group["labels"]["__meta_shiftdns_service"] == *name)
    };
    for n in 0..100 {
        let group = of(&format!("s{n:02}")).unwrap();
        assert_eq!(group["targets"], json!([format!("10.1.0.{n}:80")]));
        // Where a cluster IP answers, shares choose nothing.
        assert_eq!(group["labels"]["__meta_shiftdns_share"], "");
        assert_eq!(group["labels"]["__meta_shiftdns_service_kind"], "ClusterIP");
    }
    let catalogue = site.json("/v1/catalog/services").await;
    assert_eq!(catalogue.as_object().unwrap().len(), 101);
}

#[tokio::test]
async fn the_catalogue_has_services_with_endpoints_and_their_versions() {
    let site = Site::synced(None).await;
    let got = get(site.api, "/v1/catalog/services").await;
    let list: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(list, json!({"web.shop": ["canary", "stable", "v1", "v2"]}));
    for header in ["x-consul-knownleader: true", "x-consul-lastcontact: 0"] {
        assert!(got.headers.contains(header), "{header}");
    }
    assert_eq!(
        site.json("/v1/catalog/datacenters?dc=cluster-local").await,
        json!(["cluster-local"])
    );
    let agent = site.json("/v1/agent/self").await;
    assert_eq!(agent["Config"]["Datacenter"], "cluster-local");
}

#[tokio::test]
async fn an_instance_is_told_as_consul_tells_it() {
    let site = Site::synced(None).await;
    let got = get(
        site.api,
        "/v1/health/service/web.shop?tag=v2&tag=canary&stale&wait=5s",
    )
    .await;
    let index: u64 = got.header("x-consul-index").unwrap().parse().unwrap();
    let list: Value = serde_json::from_str(&got.body).unwrap();
    let base = list[0]["Node"]["CreateIndex"].as_u64().unwrap();
    assert!(base < index);
    assert_eq!(
        list,
        json!([{
            "Node": {"ID": "", "Node": "node-1", "Address": "10.0.0.4", "Datacenter": "cluster-local",
                "TaggedAddresses": {}, "Meta": {"zone": "zone-a"}, "CreateIndex": base, "ModifyIndex": index},
            "Service": {"ID": "shop/web/10.0.0.4", "Service": "web.shop", "Tags": ["v2", "canary"],
                "Address": "10.0.0.4", "TaggedAddresses": {}, "Port": 8080,
                "Meta": {"namespace": "shop", "version": "v2", "revision": "bbb", "share": "2500",
                    "pod": "web-4", "port-http": "8080"},
                "Weights": {"Passing": 16_384, "Warning": 1}, "EnableTagOverride": false,
                "CreateIndex": base, "ModifyIndex": index},
            "Checks": [{"Node": "node-1", "CheckID": "shiftdns", "Name": "answered in DNS", "Status": "passing",
                "Notes": "", "Output": "it is answered", "ServiceID": "shop/web/10.0.0.4",
                "ServiceName": "web.shop", "ServiceTags": ["v2", "canary"], "Type": "",
                "CreateIndex": base, "ModifyIndex": index}],
        }])
    );
    let list = site.json("/v1/catalog/service/web.shop?tag=v2").await;
    assert_eq!(
        list,
        json!([{
            "ID": "", "Node": "node-1", "Address": "10.0.0.4", "Datacenter": "cluster-local",
            "TaggedAddresses": {}, "NodeMeta": {"zone": "zone-a"},
            "ServiceID": "shop/web/10.0.0.4", "ServiceName": "web.shop", "ServiceAddress": "10.0.0.4",
            "ServiceTags": ["v2", "canary"], "ServicePort": 8080,
            "ServiceMeta": {"namespace": "shop", "version": "v2", "revision": "bbb", "share": "2500",
                "pod": "web-4", "port-http": "8080"},
            "ServiceWeights": {"Passing": 16_384, "Warning": 1}, "ServiceEnableTagOverride": false,
            "CreateIndex": base, "ModifyIndex": index,
        }])
    );
    assert_eq!(
        site.json("/v1/catalog/service/nothing.shop").await,
        json!([])
    );
    assert_eq!(
        site.json("/v1/health/service/web.shop?tag=v1&tag=v2").await,
        json!([])
    );
}

#[tokio::test]
async fn weights_multiply_up_to_shares() {
    let site = Site::open(None).await;
    for (weights, v1, v2) in [
        ("v1=75,v2=25", 16_384, 16_384),
        ("v1=90,v2=10", 19_661, 6554),
        ("v1=1,v2=99", 218, 64_880),
        ("v1=100,v2=0", 21_845, 1),
        ("v1=0,v2=100", 1, 65_535),
    ] {
        site.sync(&weighted(weights)).await;
        let list = site.json("/v1/health/service/web.shop").await;
        let of = |at: usize| list[at]["Service"]["Weights"]["Passing"].as_u64().unwrap();
        let told: Vec<u64> = (0..4).map(of).collect();
        assert_eq!(told, [v1, v1, v1, v2], "{weights}");
    }
}

#[tokio::test]
async fn an_instance_passes_where_dns_answers_it() {
    let site = Site::open(None).await;
    let told = async |query: &str| {
        let list = site
            .json(&format!("/v1/health/service/web.shop{query}"))
            .await;
        let entries = list.as_array().unwrap().iter();
        let told = |entry: &Value| {
            let address = entry["Service"]["Address"].as_str().unwrap();
            let status = entry["Checks"][0]["Status"].as_str().unwrap();
            format!("{address} {status}")
        };
        entries.map(told).collect::<Vec<_>>()
    };
    site.sync(&leaving()).await;
    let all = [
        "10.0.0.1 warning",
        "10.0.0.2 critical",
        "10.0.0.3 passing",
        "10.0.0.4 passing",
    ];
    assert_eq!(told("").await, all);
    assert_eq!(told("?passing=0").await, all);
    for query in ["?passing", "?passing=1", "?passing=true"] {
        assert_eq!(told(query).await, all[2..], "{query}");
    }
    site.sync(&weighted("v1=0,v2=100")).await;
    assert_eq!(told("?passing").await, ["10.0.0.4 passing"]);
    let list = site.json("/v1/health/service/web.shop").await;
    assert_eq!(list[0]["Checks"][0]["Output"], "version `v1` has no share");
}

#[tokio::test]
async fn a_question_is_answered_in_the_json_of_public_resolvers() {
    let site = Site::synced(None).await;
    let got = get(site.api, &format!("/resolve?name={WEB}")).await;
    assert!(got.headers.contains("content-type: application/dns-json"));
    let mut answer: Value = serde_json::from_str(&got.body).unwrap();
    let rows = answer["Answer"].take();
    assert_eq!(
        answer,
        json!({"Status": 0, "TC": false, "RD": true, "RA": false, "AD": false, "CD": false,
            "Question": [{"name": format!("{WEB}."), "type": 1}], "Answer": null})
    );
    for row in rows.as_array().unwrap() {
        assert!(
            row["data"].as_str().unwrap().starts_with("10.0.0."),
            "{row}"
        );
        assert_eq!(row["name"], format!("{WEB}."));
        assert_eq!((&row["type"], &row["TTL"]), (&json!(1), &json!(5)));
    }
    for kind in ["33", "srv", "SRV", "TYPE33"] {
        let answer = site
            .json(&format!("/resolve?name=_http._tcp.{WEB}&type={kind}"))
            .await;
        assert_eq!(answer["Question"][0]["type"], 33);
        assert_eq!(answer["Answer"][0]["type"], 33);
        assert!(!answer["Additional"].as_array().unwrap().is_empty());
    }
    let answer = site
        .json("/resolve?name=nothing.shop.svc.cluster.local&type=28&cd=1")
        .await;
    // The bit is asked with, and is clear in answers that nobody signed.
    assert_eq!(
        (&answer["Status"], &answer["CD"]),
        (&json!(3), &json!(false))
    );
    assert_eq!(answer["Authority"][0]["type"], 6);
    assert_eq!(answer.get("Answer"), None);
    let answer = site
        .json("/resolve?name=example.com&edns_client_subnet=10.9.0.0/16&do=1")
        .await;
    assert_eq!(answer["Status"], 5);
    assert_eq!(answer["Comment"], "EDE: 20 (Not Authoritative)");
}

#[tokio::test]
async fn half_a_cluster_is_not_told() {
    let site = Site::open(None).await;
    for path in [PATHS[0], PATHS[1], PATHS[3], PATHS[4]] {
        let got = get(site.api, path).await;
        assert_eq!(got.status, 503, "{path}");
        let unready = r#"{"error":"not synced: not every kind of object has been read yet"}"#;
        assert_eq!(got.body, unready);
    }
    let answer = site.json(PATHS[6]).await;
    assert_eq!(answer["Comment"], "EDE: 14 (Not Ready)");
}

#[tokio::test]
async fn what_a_client_says_wrongly_is_told() {
    let site = Site::synced(None).await;
    let host = format!("host: {}\r\n", site.api);
    for (path, status, error) in [
        (
            "/sd/prometheus?namespaces=shop",
            400,
            "there is no parameter `namespaces` here; known are `namespace`, `service`, `version`, `port`",
        ),
        (
            "/v1/agent/self?x",
            400,
            "there is no parameter `x` here; none is read",
        ),
        (
            "/api/v1/services?x",
            400,
            "there is no parameter `x` here; none is read",
        ),
        (
            "/v1/catalog/services?index=x",
            400,
            "`index` is a whole number, not `x`",
        ),
        (
            "/v1/catalog/services?wait=5",
            400,
            "`wait` is a duration such as `30s` or `5m`, not `5`",
        ),
        (
            "/v1/catalog/services?ns=shop",
            400,
            "there is no parameter `ns` here",
        ),
        (
            "/v1/catalog/datacenters?dc=elsewhere",
            400,
            "there is no datacenter `elsewhere`; this is `cluster-local`",
        ),
        (
            "/v1/health/service/web",
            400,
            "`web` is not a service: they are called `name.namespace`",
        ),
        ("/v1/health/service/%ff", 400, "Invalid URL"),
        (
            "/v1/health/service/web.shop?passing=perhaps",
            400,
            "`passing` is `true` or `false`, not `perhaps`",
        ),
        (
            "/v1/health/service/web.shop?dc=a&dc=b",
            400,
            "`dc` stands twice",
        ),
        (
            "/v1/catalog/service/web.shop?passing",
            400,
            "there is no parameter `passing` here",
        ),
        ("/v1/health/service", 404, "there is nothing here"),
        ("/v1/kv/x", 404, "there is nothing here"),
        ("/resolve", 400, "`name` is missing"),
        ("/resolve?name=a..b", 400, "`a..b` is not a name"),
        (
            "/resolve?name=a&type=FOO",
            400,
            "`FOO` is not a record type",
        ),
        (
            "/resolve?name=a&type=65536",
            400,
            "`65536` is not a record type",
        ),
        (
            "/resolve?name=a&edns_client_subnet=10.0.0.0/33",
            400,
            "`edns_client_subnet` is an address, or one with `/` and a length, not `10.0.0.0/33`",
        ),
        (
            "/resolve?name=a&cd=x",
            400,
            "`cd` is `true` or `false`, not `x`",
        ),
    ] {
        let got = get(site.api, path).await;
        assert_eq!(got.status, status, "{path}: {}", got.body);
        let body: Value = serde_json::from_str(&got.body).unwrap();
        let told = body["error"].as_str().unwrap();
        assert!(told.starts_with(error), "{path}: {told}");
    }
    for path in PATHS {
        let got = ask(site.api, "PUT", path, &host).await;
        assert_eq!(
            (got.status, got.header("allow")),
            (405, Some("get,head")),
            "{path}"
        );
        assert!(got.body.starts_with(r#"{"error":"not with this method"#));
        let got = ask(site.api, "HEAD", path, &host).await;
        assert_eq!((got.status, &*got.body), (200, ""), "{path}");
        let joint = if path.contains('?') { '&' } else { '?' };
        let long = format!("{path}{joint}x={}", "y".repeat(5000));
        let got = get(site.api, &long).await;
        assert_eq!(got.status, 414, "{path}");
        assert_eq!(
            got.body,
            r#"{"error":"the query is longer than 4096 octets"}"#
        );
    }
}

#[tokio::test]
async fn a_token_guards_all_of_it_and_may_come_as_consuls_clients_send_it() {
    let site = Site::synced(Some("s3cret")).await;
    for path in PATHS {
        for (header, status) in [
            ("", 401),
            ("x-consul-token: wrong\r\n", 401),
            ("authorization: Bearer wrong\r\n", 401),
            ("x-consul-token: s3cret\r\n", 200),
            ("authorization: Bearer s3cret\r\n", 200),
        ] {
            let headers = format!("host: dns.example\r\n{header}");
            let got = ask(site.api, "GET", path, &headers).await;
            assert_eq!(got.status, status, "{path} {header}");
        }
    }
}

#[tokio::test]
async fn the_document_is_served_and_its_routes_are_all_there_are() {
    let site = Site::synced(None).await;
    let document = site.json("/openapi.json").await;
    assert_eq!(document, *schema::document());
    assert_eq!(document["openapi"], "3.1.0");
    // Every route that is told of is one.
    for (path, operations) in document["paths"].as_object().unwrap() {
        let asked = path
            .replace("{action}", "pause")
            .replace("{service}", "web.shop")
            .replace("{namespace}", "shop")
            .replace("{name}", "web");
        for method in operations.as_object().unwrap().keys() {
            let host = format!("host: {}\r\n", site.api);
            let got = ask(site.api, &method.to_uppercase(), &asked, &host).await;
            assert!(![404, 405].contains(&got.status), "{method} {path}");
        }
    }
    // And every route is one that is told of: none is made but of the table.
    let admin = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin");
    for entry in fs::read_dir(admin).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !path.is_file() || ["probes.rs", "tests.rs"].contains(&name) {
            continue;
        }
        let code = fs::read_to_string(&path).unwrap();
        let code = code.split("#[cfg(test)]\nmod tests").next().unwrap();
        let made = code.matches(".route(").count() + code.matches(".nest").count();
        let merged = code.matches(".merge(").count() + code.matches("route_service").count();
        let expected = usize::from(name == "routes.rs");
        assert_eq!(made + merged, expected, "{name}");
    }
}
