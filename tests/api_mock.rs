//! The API server of the tests is one: kube's own client lists and watches it, and sees each fault as it was meant.

mod api;
mod rig;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use api::{Api, Fault, On, Tls, Verb, until};
use futures_util::TryStreamExt as _;
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::api::{ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rig::cluster;
use serde_json::{Value, json};
use shiftdns::objects::Kind;
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

async fn client(api: &Api) -> Client {
    let path = api.kubeconfig();
    let read = Kubeconfig::read_from(path).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(read, &options)
        .await
        .expect("a configuration");
    config.default_retry = false;
    config.read_timeout = Some(Duration::from_millis(300));
    Client::try_from(config).expect("a client")
}

async fn services(api: &Api) -> kube::Api<Service> {
    kube::Api::all(client(api).await)
}

fn shop(services: usize) -> String {
    let lines =
        (0..services).map(|n| format!("clusterip s{n:03}.shop 10.96.0.{} http:80\n", n + 1));
    cluster(&format!("namespace shop\n{}", lines.collect::<String>()))
}

fn names(list: &[Service]) -> BTreeSet<String> {
    let names = list.iter().filter_map(|s| s.metadata.name.clone());
    names.collect()
}

#[test]
fn a_list_comes_in_pages_of_one_moment() {
    let api = Api::serving(&shop(25));
    runtime().block_on(async {
        let services = services(&api).await;
        let (mut params, mut seen) = (ListParams::default().limit(10), Vec::new());
        let mut versions = BTreeSet::new();
        loop {
            let page = services.list(&params).await.expect("a page");
            versions.insert(page.metadata.resource_version.clone());
            seen.extend(page.items);
            // Between two pages: not of this list.
            api.add(&cluster("clusterip later.shop 10.96.1.1 http:80"));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => break,
            }
        }
        assert_eq!(
            (seen.len(), names(&seen).len(), versions.len()),
            (25, 25, 1)
        );
        assert_eq!(api.lists(Kind::Service), 1);
        let pages: Vec<usize> = api.asked().iter().map(|a| a.page).collect();
        assert_eq!(pages, [0, 1, 2]);
    });
}

/// The next events of a watch, as `ADDED name` and so on.
async fn events(
    services: &kube::Api<Service>,
    params: &WatchParams,
    version: u64,
    count: usize,
) -> Vec<String> {
    let stream = services
        .watch(params, &version.to_string())
        .await
        .expect("a watch");
    let mut stream = std::pin::pin!(stream);
    let mut seen = Vec::new();
    while seen.len() < count {
        let event = match stream.try_next().await {
            Ok(Some(event)) => event,
            Ok(None) => {
                seen.push("end".to_owned());
                break;
            }
            Err(error) => {
                seen.push(format!("error {error}").chars().take(40).collect());
                break;
            }
        };
        let name = |s: &Service| s.metadata.name.clone().unwrap_or_default();
        seen.push(match event {
            WatchEvent::Added(s) => format!("ADDED {}", name(&s)),
            WatchEvent::Modified(s) => format!("MODIFIED {}", name(&s)),
            WatchEvent::Deleted(s) => format!("DELETED {}", name(&s)),
            WatchEvent::Bookmark(b) => format!("BOOKMARK {}", b.metadata.resource_version),
            WatchEvent::Error(status) => format!("ERROR {}", status.code),
        });
    }
    seen
}

#[test]
fn a_watch_tells_what_happened_behind_its_version() {
    let api = Api::serving(&shop(2));
    let before = api.version();
    api.apply(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "s000"},
        "spec": {"clusterIP": "10.96.0.9"}}));
    api.add(&cluster(
        "clusterip new.shop 10.96.0.3 http:80\nnamespace other",
    ));
    api.delete(Kind::Service, "shop", "s001");
    runtime().block_on(async {
        let services = services(&api).await;
        let params = WatchParams::default().timeout(60);
        let seen = events(&services, &params, before, 3).await;
        assert_eq!(seen, ["MODIFIED s000", "ADDED new", "DELETED s001"]);
        // A selector turns a change of labels into a beginning and an end.
        let mut labelled = api.get(Kind::Service, "shop", "s000").expect("it is there");
        let from = api.version();
        labelled["metadata"]["labels"] = json!({"a": "b"});
        api.apply(&labelled);
        labelled["metadata"]["labels"] = json!({});
        api.apply(&labelled);
        let seen = events(&services, &params.clone().labels("a=b"), from, 2).await;
        assert_eq!(seen, ["ADDED s000", "DELETED s000"]);
        let timed = WatchParams::default().timeout(1);
        let patient = Config::new(format!("http://{}", api.address).parse().expect("a URL"));
        let patient = kube::Api::all(Client::try_from(patient).expect("a client"));
        assert_eq!(events(&patient, &timed, api.version(), 1).await, ["end"]);
        api.bookmarks_every(Duration::from_millis(10));
        let version = api.version();
        assert_eq!(
            events(&services, &params, version, 1).await,
            [format!("BOOKMARK {version}")]
        );
        // The future is accepted in silence.
        let seen = events(&services, &params, version + 100, 1).await;
        assert!(seen[0].starts_with("error"), "{seen:?}");
    });
}

#[test]
fn a_version_that_was_compacted_is_an_error_in_the_stream() {
    let api = Api::serving(&shop(2));
    let before = api.version();
    api.add(&cluster("namespace other"));
    api.compact();
    runtime().block_on(async {
        let services = services(&api).await;
        let params = WatchParams::default();
        assert_eq!(
            events(&services, &params, before, 2).await,
            ["ERROR 410", "end"]
        );
        api.once(On::watch(Kind::Service), api::gone());
        let failed = services.watch(&params, &api.version().to_string()).await;
        let Err(kube::Error::Api(status)) = failed.map(drop) else {
            panic!("no status")
        };
        assert_eq!(status.code, 410);
    });
}

#[test]
fn each_fault_is_what_it_says() {
    let api = Api::serving(&shop(25));
    runtime().block_on(async {
        let services = services(&api).await;
        let params = ListParams::default();
        let whole = || async {
            let list = services.list(&params).await;
            list.map(|l| l.items.len()).map_err(|e| format!("{e:?}"))
        };
        let on = On::list(Kind::Service);
        api.once(
            on,
            Fault::Status(
                429,
                "TooManyRequests",
                vec![("retry-after", "1".to_owned())],
            ),
        );
        let error = whole().await.expect_err("a status");
        assert!(error.contains("429"), "{error}");
        api.once(on, Fault::Body("<html>log in</html>".to_owned()));
        let error = whole().await.expect_err("no JSON");
        assert!(
            error.contains("Serde") || error.contains("expected"),
            "{error}"
        );
        for fault in [
            Fault::Hang,
            Fault::Stall(100),
            Fault::Stall(0),
            Fault::Cut(100),
            Fault::Cut(0),
        ] {
            api.once(on, fault.clone());
            assert!(whole().await.is_err(), "{fault:?}");
        }
        api.once(on, Fault::Keep(3));
        assert_eq!(whole().await, Ok(3));
        api.once(on, Fault::Trickle(2000, Duration::from_millis(1)));
        assert_eq!(whole().await, Ok(25));
        // A fault of a page, and of no other.
        api.once(on.page(1), api::gone());
        let page = services
            .list(&ListParams::default().limit(10))
            .await
            .expect("a page");
        let token = page.metadata.continue_.expect("there is more");
        let params = ListParams::default().limit(10).continue_token(&token);
        assert!(services.list(&params).await.is_err());
        assert_eq!(
            services.list(&params).await.map(|l| l.items.len()).ok(),
            Some(10)
        );
        // All of a kind, until mended; another kind is well.
        api.always(on, Fault::status(500, "InternalError"));
        assert!(whole().await.is_err() && whole().await.is_err());
        let others: kube::Api<Namespace> = kube::Api::all(client(&api).await);
        assert_eq!(
            others
                .list(&ListParams::default())
                .await
                .expect("a list")
                .items
                .len(),
            1
        );
        api.mend();
        assert_eq!(whole().await, Ok(25));
        api.absent(&[Kind::Service]);
        assert!(whole().await.expect_err("absent").contains("404"));
    });
}

#[test]
fn connections_fall_silent_or_die_and_the_port_stays() {
    let api = Api::serving(&shop(1));
    runtime().block_on(async {
        let services = services(&api).await;
        let list = || async { services.list(&ListParams::default()).await.is_ok() };
        assert!(list().await);
        api.silence();
        assert!(!list().await, "the connection that was there");
        assert!(list().await, "another one");
        api.silence_all();
        assert!(!list().await && !list().await);
        api.unsilence();
        assert!(list().await);
        api.down();
        assert!(!list().await);
        api.up();
        assert!(list().await);
        api.kill_connections();
        let (first, second) = (list().await, list().await);
        assert!(first || second, "a killed connection is at most one error");
        // A watch that is open is counted, and no longer when it is silent or gone.
        let params = WatchParams::default();
        let stream = services
            .watch(&params, &api.version().to_string())
            .await
            .expect("a watch");
        until("a watch", || api.open_watches(Kind::Service) == 1);
        api.silence();
        assert_eq!(api.open_watches(Kind::Service), 0);
        drop(stream);
    });
}

#[test]
fn time_goes_back_when_a_backup_is_restored_and_lags_on_another_replica() {
    let api = Api::serving(&shop(2));
    let old = api.version();
    api.add(&cluster("clusterip new.shop 10.96.0.9 http:80"));
    runtime().block_on(async {
        let client = client(&api).await;
        let services: kube::Api<Service> = kube::Api::all(client);
        let list = |params: ListParams| {
            let services = services.clone();
            async move {
                let list = services.list(&params).await.map_err(|e| format!("{e:?}"))?;
                Ok::<_, String>((
                    list.items.len(),
                    list.metadata.resource_version.unwrap_or_default(),
                ))
            }
        };
        api.lag(Some(old));
        assert_eq!(list(ListParams::default()).await, Ok((2, old.to_string())));
        let newer = ListParams::default()
            .at(&(old + 1).to_string())
            .matching(kube::api::VersionMatch::NotOlderThan);
        assert!(list(newer).await.expect_err("too large").contains("504"));
        api.lag(None);
        assert_eq!(list(ListParams::default()).await.map(|l| l.0), Ok(3));
        api.restore(&shop(1));
        assert!(api.version() < old);
        let listed = match list(ListParams::default()).await {
            Ok(listed) => listed,
            // The connection that died with the old server.
            Err(_) => list(ListParams::default()).await.expect("a list"),
        };
        assert_eq!(listed, (1, api.version().to_string()));
        let ends = api.history().iter().filter(|e| e.object.is_none()).count();
        assert_eq!(ends, 2, "what the backup has not is gone");
    });
}

#[test]
fn writes_are_merged_and_kept() {
    let api = Api::start();
    api.apply(
        &json!({"apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
        "metadata": {"namespace": "shop", "name": "web"}, "spec": {"strategy": "follow"}}),
    );
    runtime().block_on(async {
        let client = client(&api).await;
        let resource = kube::api::ApiResource {
            group: "shiftdns.io".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: "shiftdns.io/v1alpha1".to_owned(),
            kind: "ServiceRollout".to_owned(),
            plural: "servicerollouts".to_owned(),
        };
        let rollouts: kube::Api<kube::api::DynamicObject> =
            kube::Api::namespaced_with(client, "shop", &resource);
        let patch = json!({"spec": {"strategy": "no"}, "status": {"memory": "m"}});
        let params = PatchParams::default();
        let back = rollouts
            .patch_status("web", &params, &Patch::Merge(&patch))
            .await
            .expect("patched");
        assert_eq!(
            (&back.data["spec"], &back.data["status"]),
            (&json!({"strategy": "follow"}), &json!({"memory": "m"}))
        );
        let stored = api
            .get(Kind::ServiceRollout, "shop", "web")
            .expect("it is there");
        assert_eq!(stored["status"]["memory"], "m");
        let stale = json!({"metadata": {"resourceVersion": "1"}, "status": {"memory": "n"}});
        let conflict = rollouts
            .patch_status("web", &params, &Patch::Merge(&stale))
            .await;
        assert!(matches!(conflict, Err(kube::Error::Api(s)) if s.code == 409));
        let writes: Vec<Value> = api
            .asked()
            .iter()
            .filter(|a| a.verb == Verb::Write)
            .map(|a| serde_json::from_slice(&a.body).expect("JSON"))
            .collect();
        assert_eq!(writes, [patch, stale]);
    });
}

#[test]
fn tls_is_for_those_who_trust_it_and_a_token_for_those_who_have_it() {
    let mut api = Api::with_tls(Tls::new());
    api.set(&shop(1));
    api.require_token("secret");
    runtime().block_on(async {
        let connect = |user: &'static str| {
            let path = api.kubeconfig_with(user);
            async move {
                let read = Kubeconfig::read_from(path).expect("a kubeconfig");
                let config =
                    Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
                let mut config = config.expect("a configuration");
                config.default_retry = false;
                let client = Client::try_from(config).expect("a client");
                let services: kube::Api<Service> = kube::Api::all(client);
                services
                    .list(&ListParams::default())
                    .await
                    .map(|l| l.items.len())
            }
        };
        assert!(
            matches!(connect("{token: wrong}").await, Err(kube::Error::Api(s)) if s.code == 401)
        );
        assert_eq!(connect("{token: secret}").await.expect("a list"), 1);
        let path = api.kubeconfig_with("{token: secret}");
        let read = Kubeconfig::read_from(&path).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let old = Config::from_custom_kubeconfig(read, &options).await;
        let mut old = old.expect("a configuration");
        old.default_retry = false;
        api.certificate(Tls::new());
        let services: kube::Api<Service> = kube::Api::all(Client::try_from(old).expect("a client"));
        assert!(
            services.list(&ListParams::default()).await.is_err(),
            "another certificate"
        );
    });
}

#[test]
fn a_raw_object_goes_out_as_it_is() {
    let api = Api::serving(&shop(1));
    api.put_raw(Kind::Service, "shop", "bad", r#"{"metadata":{"name":5}}"#);
    let mut stream = TcpStream::connect(api.address).expect("a connection");
    stream
        .write_all(b"GET /api/v1/services HTTP/1.1\r\nhost: x\r\n\r\n")
        .expect("sent");
    let mut text = String::new();
    let mut octets = [0; 4096];
    until("the list", || {
        let len = stream.read(&mut octets).expect("octets");
        text += &String::from_utf8_lossy(&octets[..len]);
        text.ends_with("]}")
    });
    assert!(text.contains(r#"[{"metadata":{"name":5}},{"#), "{text}");
}
