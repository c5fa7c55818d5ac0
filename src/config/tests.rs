use std::io::Write;

use clap::{FromArgMatches, Parser};
use proptest::prelude::*;

use super::*;
use crate::model::{AnswerMode, OnFailure, RollbackMode, Strategy as Asked};
use crate::objects::LabelSelector;

const HEADER: &str = "apiVersion: shiftdns.io/v1alpha1\nkind: Config\n";
const TEMPLATE: &str = include_str!("../../deploy/config.yaml");

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    flags: Flags,
}

/// The flags of a command line such as `--zone a --workers 2`.
fn flags(line: &str) -> Flags {
    let words = std::iter::once("serve").chain(line.split_whitespace());
    Serve::try_parse_from(words)
        .expect("flags that clap reads")
        .flags
}

/// Loads `text` as `shiftdns.yaml` with the flags of `line`.
fn loaded(text: &str, line: &str) -> Result<Config, String> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes())
        .expect("the file can be written");
    let name = file.path().to_string_lossy().into_owned();
    load(Some(file.path()), &flags(line))
        .map_err(|error| error.to_string().replace(&name, "shiftdns.yaml"))
}

fn defaults() -> Config {
    load(None, &Flags::default()).expect("the defaults are sound")
}

/// The file's text behind the two lines of its header, so that its first line is line 3.
#[track_caller]
fn refused(text: &str, expected: &str) {
    let got = loaded(&format!("{HEADER}{text}"), "");
    assert_eq!(got, Err(expected.to_owned()), "{text}");
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let config = defaults();
    assert_eq!(config.zones, ["cluster.local"]);
    assert_eq!(
        config.listen,
        ["127.0.0.1:1053".parse().expect("an address")]
    );
    assert_eq!(config.http.to_string(), "127.0.0.1:9153");
    assert_eq!(config.api.listen.to_string(), "127.0.0.1:9154");
    assert_eq!((config.workers, &config.manifests), (None, &None));
    assert_eq!(config.defaults, Policy::default());
    assert_eq!(config.reserved_namespaces, ["svc", "pod"]);
    assert_eq!(config.limits.tcp_idle, Duration::from_secs(10));
    assert_eq!(
        config.identity,
        Identity {
            id: None,
            version: None
        }
    );
}

#[test]
fn the_live_lines_of_the_template_are_the_defaults() {
    let live: Vec<&str> = TEMPLATE
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.is_empty())
        .collect();
    let rendered = render(&defaults());
    assert_eq!(live, rendered.lines().collect::<Vec<_>>());
    assert_eq!(loaded(TEMPLATE, ""), Ok(defaults()));
}

#[test]
fn a_file_without_settings_is_the_defaults() {
    assert_eq!(loaded(HEADER, ""), Ok(defaults()));
}

#[test]
fn every_key_is_read() {
    let text = "\
apiVersion: shiftdns.io/v1alpha1
kind: Config
zones: [Example.COM., cluster.local]
reverse: [10.1.0.0/16, \"fd00::/8\"]
listen:
- 0.0.0.0:53
- \"[::]:53\"
http: 0.0.0.0:9153
api: {listen: \"10.0.0.1:9154\", tokenFile: /run/token, actions: true}
workers: 3
cpuAffinity: [4, 5]
source: {manifests: zones/demo}
state: /var/lib/shiftdns/state
snapshotMaxAge: 12h
lameDuck: 15s
upstream: [192.0.2.1, \"2001:db8::1\", \"127.0.0.1:5353\", \"[2001:db8::1]:5353\"]
namespaces: [shop, data]
namespaceSelector: env=prod,!old
staleAfter: 5s
unreadyAfter: 10m
pods: verified
endpointPodNames: true
emptyService: nodata
recursionAvailable: true
soa: {mname: ns1.example.com, rname: dns.example.com.}
nameServers: [192.0.2.1, \"2001:db8::1\"]
ttl: {clusterIp: 60, endpoints: 10, rollout: 1, negative: 0, cacheFloor: 30}
defaults: {strategy: blue-green, soak: 1m30s, answer: pure, records: 1, onFailure: hold, rollback: immediate, headroom: 120}
limits: {endpointsPerService: 1, endpointsPerNamespace: 2, tcpConnections: 3, tcpIdle: 1m, tcpMessage: 500ms}
reservedNamespaces: [com]
addressDeny: []
identity: {id: dns-1, version: \"1.0\"}
dnstap: {identity: dns-1}
";
    let expected = Config {
        zones: vec!["example.com".into(), "cluster.local".into()],
        reverse: ["10.1.0.0/16", "fd00::/8"]
            .map(|n| n.parse().expect("a network"))
            .into(),
        listen: ["0.0.0.0:53", "[::]:53"]
            .map(|a| a.parse().expect("an address"))
            .into(),
        http: "0.0.0.0:9153".parse().expect("an address"),
        api: Api {
            listen: "10.0.0.1:9154".parse().expect("an address"),
            token_file: Some("/run/token".into()),
            actions: true,
        },
        workers: NonZeroUsize::new(3),
        cpu_affinity: CpuAffinity::Cpus(vec![4, 5]),
        manifests: Some("zones/demo".into()),
        kubernetes: Kubernetes::default(),
        state: Some("/var/lib/shiftdns/state".into()),
        static_zones: None,
        snapshot_max_age: Duration::from_secs(43_200),
        lame_duck: Duration::from_secs(15),
        upstream: [
            "192.0.2.1:53",
            "[2001:db8::1]:53",
            "127.0.0.1:5353",
            "[2001:db8::1]:5353",
        ]
        .map(|a| a.parse().expect("an address"))
        .into(),
        namespaces: vec!["shop".into(), "data".into()],
        namespace_selector: LabelSelector::parse("env=prod,!old").ok(),
        stale_after: Duration::from_secs(5),
        unready_after: Duration::from_secs(600),
        pods: Pods::Verified,
        endpoint_pod_names: true,
        empty_service: EmptyService::Nodata,
        recursion_available: true,
        soa: Soa {
            mname: Some("ns1.example.com".into()),
            rname: Some("dns.example.com".into()),
        },
        name_servers: ["192.0.2.1", "2001:db8::1"]
            .map(|a| a.parse().expect("an address"))
            .into(),
        ttl: Ttl {
            cluster_ip: 60,
            endpoints: 10,
            rollout: 1,
            negative: 0,
            cache_floor: 30,
        },
        defaults: Policy {
            strategy: Asked::BlueGreen {
                auto_promotion_secs: None,
                backends: None,
            },
            soak_secs: 90,
            answer: AnswerMode::Pure,
            records: 1,
            on_failure: OnFailure::Hold,
            rollback: RollbackMode::Immediate,
            headroom_percent: 120,
            ..Policy::default()
        },
        limits: Limits {
            endpoints_per_service: 1,
            endpoints_per_namespace: 2,
            tcp_connections: 3,
            tcp_idle: Duration::from_secs(60),
            tcp_message: Duration::from_millis(500),
        },
        reserved_namespaces: vec!["com".into()],
        address_deny: vec![],
        identity: Identity {
            id: Some("dns-1".into()),
            version: Some("1.0".into()),
        },
        dnstap: Dnstap {
            socket: None,
            identity: Some("dns-1".into()),
        },
    };
    assert_eq!(loaded(text, ""), Ok(expected.clone()));
    assert_eq!(loaded(&render(&expected), ""), Ok(expected));
}

#[test]
fn flags_win_over_the_file_and_lists_win_as_a_whole() {
    let file = format!(
        "{HEADER}zones: [a, b]\nlisten: [\"127.0.0.1:1\"]\nworkers: 2\nsource: {{manifests: x}}\nstate: x\n"
    );
    let line = "--zone c --reverse 10.0.0.0/8 --listen 127.0.0.1:5 --listen [::1]:5 --http 127.0.0.1:6 --api 127.0.0.1:7 --workers 0 --manifests y --state y";
    let config = loaded(&file, line).expect("sound flags");
    assert_eq!(config.zones, ["c"]);
    assert_eq!(config.reverse.len(), 1);
    assert_eq!(config.listen.len(), 2);
    assert_eq!((config.http.port(), config.api.listen.port()), (6, 7));
    assert_eq!((config.workers, config.manifests), (None, Some("y".into())));
    assert_eq!(config.state, Some("y".into()));
    let config = loaded(&file, "").expect("a sound file");
    assert_eq!(
        (config.zones.len(), config.workers, config.state),
        (2, NonZeroUsize::new(2), Some("x".into()))
    );
}

#[test]
fn the_path_in_the_flags_counts_where_no_other_is_given() {
    let error =
        load(None, &flags("--config /nowhere/shiftdns.yaml")).expect_err("there is no such file");
    assert_eq!(error.to_string(), "cannot read `/nowhere/shiftdns.yaml`");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_value_that_cannot_be_obeyed_is_named_with_its_place() {
    refused(
        "zones: [a..b]",
        "shiftdns.yaml:3: zones: `a..b` is not a DNS name",
    );
    refused(
        "\nzones:\n- a\n- not a name",
        "shiftdns.yaml:6: zones: `not a name` is not a DNS name",
    );
    refused(
        "zones: []",
        "shiftdns.yaml:3: zones: empty, and there is no server without a zone",
    );
    refused(
        "zones: [a, A.]",
        "shiftdns.yaml:3: zones: `A.` stands twice",
    );
    refused(
        "zones: [1.10.in-addr.arpa]",
        "shiftdns.yaml:3: zones: `1.10.in-addr.arpa` is a reverse zone, give its network under `reverse`",
    );
    refused(
        "reverse: [10.1.2.3/16]",
        "shiftdns.yaml:3: reverse: `10.1.2.3/16` has bits set behind its prefix, the network is `10.1.0.0/16`",
    );
    refused(
        "addressDeny: [x]",
        "shiftdns.yaml:3: addressDeny: `x` is not a network such as `10.1.0.0/16` or `fd00::/8`",
    );
    refused(
        "listen: []",
        "shiftdns.yaml:3: listen: empty, and nobody could ask",
    );
    refused(
        "http: localhost:1",
        "shiftdns.yaml:3: http: `localhost:1` is not an address with a port such as `127.0.0.1:1053`",
    );
    refused(
        "nameServers: [ns1]",
        "shiftdns.yaml:3: nameServers: `ns1` is not an IP address",
    );
    refused(
        "namespaces: [Shop]",
        "shiftdns.yaml:3: namespaces: `Shop` is not a name that a namespace can have",
    );
    refused(
        "pods: yes",
        "shiftdns.yaml:3: pods: `yes` is none of disabled, insecure, verified",
    );
    refused(
        "soa: {rname: a@b}",
        "shiftdns.yaml:3: soa.rname: `a@b` is not a DNS name, write a dot for the `@`",
    );
    refused(
        "ttl: {endpoints: 2147483648}",
        "shiftdns.yaml:3: ttl.endpoints: `2147483648` is above 2147483647",
    );
    refused(
        "limits: {tcpConnections: 0}",
        "shiftdns.yaml:3: limits.tcpConnections: `0` would let nothing through",
    );
    refused(
        "limits:\n  tcpMessage: 1s\n  tcpIdle: 10",
        "shiftdns.yaml:5: limits.tcpIdle: `10` is not a duration such as `500ms`, `30s` or `5m`",
    );
    refused(
        "limits: {tcpIdle: 0s}",
        "shiftdns.yaml:3: limits.tcpIdle: `0s` would let nothing through",
    );
    refused(
        "defaults: {records: 9}",
        "shiftdns.yaml:3: defaults.records: `9` is not from 1 to 8",
    );
    refused(
        "defaults: {headroom: 0}",
        "shiftdns.yaml:3: defaults.headroom: `0` is not a percentage from 1 to 1000",
    );
    refused(
        "defaults: {answer: some}",
        "shiftdns.yaml:3: defaults.answer: `some` is none of auto, all, mixed, pure",
    );
    refused(
        "defaults: {soak: 200h}",
        "shiftdns.yaml:3: defaults.soak: `200h` is not a duration such as `90s`, `10m` or `1h`, of at most 168h",
    );
    refused(
        "defaults: {onFailure: panic}",
        "shiftdns.yaml:3: defaults.onFailure: `panic` is none of shift-back, shift-back-strict, hold",
    );
    refused(
        "defaults: {rollback: now}",
        "shiftdns.yaml:3: defaults.rollback: `now` is none of capacity, immediate",
    );
    refused(
        "ttl: {cacheFloor: 2147483648}",
        "shiftdns.yaml:3: ttl.cacheFloor: `2147483648` is above 2147483647",
    );
    refused(
        "api: {actions: maybe}",
        "shiftdns.yaml:3: api.actions: neither `true` nor `false`",
    );
    refused(
        "workers: 1025",
        "shiftdns.yaml:3: workers: `1025` is above 1024",
    );
    refused(
        "source: {manifests: \"\"}",
        "shiftdns.yaml:3: source.manifests: empty, name a directory",
    );
    let long = "x".repeat(256);
    refused(
        &format!("identity: {{id: {long}}}"),
        "shiftdns.yaml:3: identity.id: longer than 255 octets",
    );
}

#[test]
fn a_flag_that_cannot_be_obeyed_is_named() {
    let got = |line| load(None, &flags(line)).map_err(|error| error.to_string());
    assert_eq!(
        got("--zone a..b"),
        Err("--zone: `a..b` is not a DNS name".to_owned())
    );
    assert_eq!(
        got("--listen 1053"),
        Err("--listen: `1053` is not an address with a port such as `127.0.0.1:1053`".to_owned())
    );
    assert_eq!(
        got("--workers 5000"),
        Err("--workers: `5000` is above 1024".to_owned())
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once_in_the_order_of_lines() {
    refused(
        "pods: some\nzones: [a-]\nworkers: 5000",
        "shiftdns.yaml:3: pods: `some` is none of disabled, insecure, verified\n\
         shiftdns.yaml:4: zones: `a-` is not a DNS name\n\
         shiftdns.yaml:5: workers: `5000` is above 1024",
    );
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let error = loaded(&format!("{HEADER}zone: [a]"), "").expect_err("`zone` is no key");
    assert!(
        error.starts_with("shiftdns.yaml:3: unknown field `zone`, expected one of "),
        "{error}"
    );
    refused(
        "api:\n  token: x",
        "shiftdns.yaml:4: api: unknown field `token`, expected one of listen, tokenFile, actions",
    );
}

#[test]
fn a_value_of_the_wrong_shape_is_refused_with_its_key() {
    refused(
        "zones: a",
        "shiftdns.yaml:3: zones: not a list such as `[a, b]`",
    );
    refused(
        "api: a",
        "shiftdns.yaml:3: api: not a mapping such as `{key: value}`",
    );
    refused("http: [a]", "shiftdns.yaml:3: http: not a single value");
    refused(
        "ttl: {endpoints: -1}",
        "shiftdns.yaml:3: ttl.endpoints: not a whole number that fits",
    );
    refused(
        "limits:\n  tcpConnections: many",
        "shiftdns.yaml:4: limits.tcpConnections: not a whole number that fits",
    );
    refused(
        "endpointPodNames: maybe",
        "shiftdns.yaml:3: endpointPodNames: neither `true` nor `false`",
    );
}

#[test]
fn the_header_must_name_this_format() {
    let got = |text| loaded(text, "").expect_err("no header");
    let missing = "shiftdns.yaml:1: apiVersion: missing, write `apiVersion: shiftdns.io/v1alpha1`\n\
                   shiftdns.yaml:1: kind: missing, write `kind: Config`";
    assert_eq!(got(""), missing);
    assert_eq!(got("zones: [a]"), missing);
    assert_eq!(
        got("apiVersion: v1\nkind: ConfigMap"),
        "shiftdns.yaml:1: apiVersion: `v1` is not `shiftdns.io/v1alpha1`\n\
         shiftdns.yaml:2: kind: `ConfigMap` is not `Config`"
    );
}

#[test]
fn an_upstream_is_a_resolver_and_not_ourselves() {
    let all = "an address such as `192.0.2.1` or `[2001:db8::1]:5353`";
    for (list, what) in [
        ("dns.example", format!("`dns.example` is not {all}")),
        ("\"[2001:db8::1]\"", format!("`[2001:db8::1]` is not {all}")),
        (
            "0.0.0.0",
            "`0.0.0.0` is not the address of a resolver".into(),
        ),
        (
            "\"192.0.2.1:0\"",
            "`192.0.2.1:0` is not the address of a resolver".into(),
        ),
        (
            "224.0.0.251",
            "`224.0.0.251` is not the address of a resolver".into(),
        ),
        (
            "192.0.2.1, \"192.0.2.1:53\"",
            "`192.0.2.1:53` stands twice".into(),
        ),
        (
            "\"127.0.0.1:1053\"",
            "`127.0.0.1:1053` is where DNS is answered".into(),
        ),
        (
            "192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5",
            "more than 4 resolvers".into(),
        ),
    ] {
        refused(
            &format!("upstream: [{list}]"),
            &format!("shiftdns.yaml:3: upstream: {what}"),
        );
    }
    let everywhere = "listen: [\"0.0.0.0:53\"]\nupstream: [127.0.0.1]";
    refused(
        everywhere,
        "shiftdns.yaml:4: upstream: `127.0.0.1` is where DNS is answered",
    );
}

#[test]
fn zone_files_are_named_by_the_file_or_the_flag() {
    let config = loaded(&format!("{HEADER}staticZones: x"), "").expect("a directory");
    assert_eq!(config.static_zones, Some("x".into()));
    let config = loaded(&format!("{HEADER}staticZones: x"), "--zones y").expect("a directory");
    assert_eq!(config.static_zones, Some("y".into()));
    assert_eq!(
        loaded(&format!("{HEADER}staleAfter: 1m\nstaticZones: \"\""), ""),
        Ok(defaults())
    );
}

#[test]
fn dnstap_is_refused_where_it_is_not_built_in() {
    let text = "dnstap: {socket: /run/tap.sock}";
    if cfg!(feature = "dnstap") {
        let config = loaded(&format!("{HEADER}{text}"), "").expect("it is built in");
        assert_eq!(config.dnstap.socket, Some("/run/tap.sock".into()));
        assert_eq!(loaded(&render(&config), ""), Ok(config));
    } else {
        refused(
            text,
            "shiftdns.yaml:3: dnstap.socket: this program was built without it; build it with `--features dnstap`",
        );
    }
}

#[test]
fn a_default_strategy_is_one_that_every_service_can_have() {
    for (strategy, why) in [
        (
            "linear",
            "needs a ramp, which only a service can have: write `shiftdns.io/strategy` and `shiftdns.io/ramp` there",
        ),
        (
            "exponential",
            "needs a ramp, which only a service can have: write `shiftdns.io/strategy` and `shiftdns.io/ramp` there",
        ),
        (
            "steps",
            "needs steps, which only a service can have: write `shiftdns.io/steps` there",
        ),
        (
            "manual",
            "needs weights, which only a service can have: write `shiftdns.io/weights` there",
        ),
        (
            "external",
            "needs an object that gives a service's weights: write `shiftdns.io/strategy` at that service",
        ),
        (
            "wild",
            "is none of `follow`, `linear`, `exponential`, `steps`, `blue-green`, `manual`, `external`",
        ),
    ] {
        refused(
            &format!("defaults: {{strategy: {strategy}}}"),
            &format!("shiftdns.yaml:3: defaults.strategy: `{strategy}` {why}"),
        );
    }
}

#[test]
fn a_zone_does_not_lie_among_anothers_names() {
    for zones in ["[a.test, svc.a.test]", "[x.pod.a.test, a.test]"] {
        let text = format!("{HEADER}zones: {zones}\n");
        let error = loaded(&text, "").map_err(|error| error.to_string());
        assert!(
            error.is_err_and(|text| text.contains("lies among the names of zone `a.test`")),
            "{zones}"
        );
    }
    assert!(loaded(&format!("{HEADER}zones: [a.test, b.a.test]\n"), "").is_ok());
}

#[test]
fn the_api_off_loopback_wants_a_token() {
    let says = |place: &str, address: &str| {
        format!(
            "{place}: `{address}` is not on loopback, and the API tells who runs what: set `api.tokenFile`, or listen on 127.0.0.1"
        )
    };
    refused(
        "api: {listen: \"0.0.0.0:9154\"}",
        &says("shiftdns.yaml:3: api.listen", "0.0.0.0:9154"),
    );
    refused(
        "api: {listen: \"[::]:9154\"}",
        &says("shiftdns.yaml:3: api.listen", "[::]:9154"),
    );
    let by_flag = load(None, &flags("--api 10.0.0.1:1")).map_err(|error| error.to_string());
    assert_eq!(by_flag, Err(says("--api", "10.0.0.1:1")));
    for sound in [
        "api: {listen: \"[::1]:1\"}",
        "api: {listen: \"0.0.0.0:1\", tokenFile: t}",
    ] {
        assert!(loaded(&format!("{HEADER}{sound}"), "").is_ok(), "{sound}");
    }
}

#[test]
fn listeners_do_not_share_an_address() {
    refused(
        "http: \"127.0.0.1:1053\"",
        "shiftdns.yaml:3: http: `127.0.0.1:1053` is where DNS is answered",
    );
    refused(
        "api: {listen: \"127.0.0.1:9153\"}",
        "shiftdns.yaml:3: api.listen: `127.0.0.1:9153` is the address of probes and metrics",
    );
    assert!(
        load(
            None,
            &flags("--listen 127.0.0.1:0 --http 127.0.0.1:0 --api 127.0.0.1:0")
        )
        .is_ok()
    );
}

#[test]
fn the_flags_are_those_of_the_manual() {
    let command = <Serve as clap::CommandFactory>::command();
    let got: Vec<&str> = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .filter(|l| *l != "help")
        .collect();
    let manual = "config manifests state kubeconfig context zone reverse zones listen http api workers replace";
    assert_eq!(got, manual.split(' ').collect::<Vec<_>>());
    assert!(
        Flags::from_arg_matches(&command.get_matches_from(["serve"]))
            .is_ok_and(|f| f == Flags::default())
    );
}

#[test]
fn a_cluster_is_followed_where_no_manifests_are_named() {
    let cluster = |kubeconfig: &str, context: &str| Kubernetes {
        kubeconfig: Some(kubeconfig)
            .filter(|text| !text.is_empty())
            .map(PathBuf::from),
        context: Some(context.to_owned()).filter(|text| !text.is_empty()),
    };
    for (file, given, manifests, kubernetes) in [
        ("", "", None, cluster("", "")),
        (
            "source: {kubernetes: {kubeconfig: a, context: b}}",
            "",
            None,
            cluster("a", "b"),
        ),
        (
            "source: {kubernetes: {kubeconfig: a, context: b}}",
            "--kubeconfig c",
            None,
            cluster("c", "b"),
        ),
        (
            "source: {kubernetes: {kubeconfig: a}}",
            "--manifests d",
            Some("d"),
            cluster("a", ""),
        ),
        (
            "source: {manifests: d}",
            "--context e",
            None,
            cluster("", "e"),
        ),
        ("source: {manifests: d}", "", Some("d"), cluster("", "")),
    ] {
        let config = loaded(&format!("{HEADER}{file}"), given).expect(file);
        assert_eq!(
            config.manifests,
            manifests.map(PathBuf::from),
            "{file} {given}"
        );
        assert_eq!(config.kubernetes, kubernetes, "{file} {given}");
    }
    let got = load(None, &flags("--kubeconfig a --manifests d"));
    assert_eq!(
        got.map_err(|error| error.to_string()),
        Err("--kubeconfig: a cluster and manifests are two sources, name one".to_owned())
    );
}

#[test]
fn no_age_of_data_makes_unready_until_one_is_named() {
    assert_eq!(defaults().unready_after, Duration::ZERO);
    refused(
        "unreadyAfter: soon",
        "shiftdns.yaml:3: unreadyAfter: `soon` is not a duration such as `500ms`, `30s` or `5m`",
    );
}

#[test]
fn workers_run_where_they_are_told() {
    let got = |text: &str| loaded(&format!("{HEADER}{text}"), "").map(|config| config.cpu_affinity);
    assert_eq!(defaults().cpu_affinity, CpuAffinity::Off);
    assert_eq!(got("cpuAffinity: true"), Ok(CpuAffinity::On));
    assert_eq!(got("cpuAffinity: false"), Ok(CpuAffinity::Off));
    let cpus = Ok(CpuAffinity::Cpus(vec![2, 0]));
    assert_eq!(got("cpuAffinity: [2, 0]"), cpus);
    for (text, complaint) in [
        (
            "cpuAffinity: []",
            "shiftdns.yaml:3: cpuAffinity: empty, name a processor, or say `true` or `false`",
        ),
        (
            "cpuAffinity: [0, 1024]",
            "shiftdns.yaml:3: cpuAffinity: `1024` is above 1023",
        ),
        (
            "cpuAffinity: [3, 3]",
            "shiftdns.yaml:3: cpuAffinity: `3` twice",
        ),
    ] {
        refused(text, complaint);
    }
    for text in ["cpuAffinity: all", "cpuAffinity: [-1]"] {
        let error = got(text).expect_err("it is refused");
        assert!(error.starts_with("shiftdns.yaml:3:"), "{text}: {error}");
    }
}

prop_compose! {
    /// Any configuration that a file can ask for.
    fn configs()(
        names in proptest::collection::btree_set("[a-z0-9]{1,9}(\\.[a-z]{1,9}){0,3}", 1..4),
        nets in proptest::collection::btree_set((any::<IpAddr>(), 0_u8..=32), 0..4),
        namespaces in proptest::collection::btree_set("[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?", 0..4),
        ports in (1_u16..20_000, 20_000_u16..40_000, 40_000_u16..),
        texts in ("[ -~ü€\n\t\"'\\\\]{0,40}", "[ -~ü€\n\t\"'\\\\]{1,40}", "[ -~]{1,20}"),
        numbers in (any::<u16>(), 1_u64..10_000_000, 1_usize..1_000_000, 0_usize..=1024),
        flips in any::<[bool; 4]>(),
    ) -> Config {
        let name = |flip: bool| names.first().cloned().filter(|_| flip);
        let nets: std::collections::BTreeSet<IpNet> =
            nets.iter().filter_map(|(address, prefix)| IpNet::new(*address, *prefix).ok()).map(|net| net.trunc()).collect();
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty() && text != "refused");
        let base = defaults();
        Config {
            zones: names.iter().cloned().collect(),
            reverse: nets.iter().copied().collect(),
            listen: vec![([127, 0, 0, 1], ports.0).into()],
            upstream: [([192, 0, 2, 1], ports.0).into(), ([0x2001_u16, 0, 0, 0, 0, 0, 0, 1], 53).into()][..numbers.3 % 3].into(),
            http: ([0, 0, 0, 0], ports.1).into(),
            api: Api { listen: ([127, 0, 0, 1], ports.2).into(), token_file: text(&texts.1).map(PathBuf::from), actions: flips[3] },
            workers: NonZeroUsize::new(numbers.3),
            cpu_affinity: [CpuAffinity::Off, CpuAffinity::On, CpuAffinity::Cpus(vec![numbers.3.min(1023), 0])][numbers.3.min(2)].clone(),
            manifests: text(&texts.2).filter(|_| flips[0]).map(PathBuf::from),
            kubernetes: match flips[0] {
                true => Kubernetes::default(),
                false => Kubernetes { kubeconfig: text(&texts.1).map(PathBuf::from), context: text(&texts.0) },
            },
            state: text(&texts.1).filter(|_| flips[2]).map(PathBuf::from),
            static_zones: text(&texts.0).filter(|_| flips[1]).map(PathBuf::from),
            namespaces: namespaces.iter().cloned().collect(),
            namespace_selector: LabelSelector::parse("env=prod").ok().filter(|_| flips[1]),
            snapshot_max_age: Duration::from_millis(numbers.1 - 1),
            lame_duck: Duration::from_millis(numbers.1 - 1),
            stale_after: Duration::from_millis(numbers.1),
            unready_after: Duration::from_millis(numbers.1 - 1),
            pods: if flips[1] { Pods::Insecure } else { Pods::Verified },
            endpoint_pod_names: flips[0],
            empty_service: if flips[2] { EmptyService::Nodata } else { EmptyService::Nxdomain },
            recursion_available: flips[3],
            soa: Soa { mname: name(flips[2]), rname: name(flips[3]) },
            name_servers: nets.iter().map(IpNet::network).collect::<std::collections::BTreeSet<_>>().into_iter().collect(),
            ttl: Ttl { cluster_ip: numbers.0.into(), cache_floor: numbers.0.into(), ..base.ttl },
            defaults: Policy {
                records: 1 + u8::from(flips[1]),
                soak_secs: u32::from(numbers.0),
                on_failure: OnFailure::ALL[usize::from(numbers.0) % 3],
                rollback: RollbackMode::ALL[usize::from(flips[0])],
                ..base.defaults
            },
            limits: Limits { tcp_idle: Duration::from_millis(numbers.1), tcp_connections: numbers.2, ..base.limits },
            reserved_namespaces: namespaces.into_iter().collect(),
            address_deny: nets.into_iter().collect(),
            identity: Identity { id: text(&texts.0), version: text(&texts.2) },
            dnstap: Dnstap { socket: None, identity: text(&texts.1) },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_rendered_loads_again(config in configs()) {
        let text = render(&config);
        prop_assert_eq!(loaded(&text, ""), Ok(config), "{}", text);
    }
}
