//! Existence: the cases of Kubernetes' own DNS tests (test/e2e/network/dns.go) on objects that the real API server, controllers
//! and addresses made. What a pod's resolver makes of the answers is not ours; these are the server's.

use serde_json::{Value, json};

use crate::ours::Ours;
use crate::plane::eventually;
use crate::theatre::{SHOP, theatre};

/// Services and pods of the plane have their addresses there.
const REVERSE: &str = r#"reverse: ["10.0.0.0/8"]"#;

/// Asks until the answer is `expected`: lines as the rig shows them, without the spaces in front. What was changed arrives by a
/// watch.
#[track_caller]
fn wait_for(ours: &Ours, question: &str, expected: &str) {
    let lines = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let (expected, mut last) = (lines.collect::<Vec<_>>().join("\n"), String::new());
    eventually(&format!("{question}\n{expected}"), || {
        let answer: Vec<String> = ours
            .ask(question)
            .lines()
            .map(|line| line.trim().to_owned())
            .collect();
        let answer = answer.join("\n");
        if answer != last {
            println!("{question}: {}", answer.replace('\n', " | "));
        }
        last = answer;
        (last == expected).then_some(())
    });
}

/// `1.2.3.4` as `4.3.2.1.in-addr.arpa`.
fn reverse(address: &str) -> String {
    let octets: Vec<&str> = address.rsplit('.').collect();
    format!("{}.in-addr.arpa", octets.join("."))
}

/// A pod; with `more` in its spec.
fn pod(name: &str, app: &str, more: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": SHOP, "name": name, "labels": {"app": app}},
        "spec": {"containers": [{"name": "web", "image": "shop/web:1"}]},
    });
    let spec = pod["spec"].as_object_mut().expect("a spec");
    spec.extend(more.as_object().expect("an object").clone());
    pod
}

fn address_of_pod(name: &str) -> String {
    eventually("the pod has an address", || {
        let pod = theatre().plane.json(&["-n", SHOP, "get", "pod", name]);
        Some(pod["status"]["podIP"].as_str()?.to_owned())
    })
}

fn cluster_ip(name: &str) -> String {
    let service = theatre().plane.json(&["-n", SHOP, "get", "service", name]);
    service["spec"]["clusterIP"]
        .as_str()
        .expect("an address")
        .to_owned()
}

/// "should provide DNS for services": a cluster IP and a headless one with two named ports, forwards and backwards.
#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn services_have_addresses_ports_and_names_of_addresses() {
    let theatre = theatre();
    let ours = theatre.another("existence-services", REVERSE);
    let ports = json!([{"name": "http", "port": 80, "targetPort": 8080}, {"name": "dns", "protocol": "UDP", "port": 53}]);
    for (name, ip) in [("dns-test-service", Some("None")), ("test-service-2", None)] {
        let mut spec = json!({"selector": {"app": name}, "ports": ports});
        if let Some(ip) = ip {
            spec["clusterIP"] = ip.into();
        }
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": SHOP, "name": name}, "spec": spec});
        theatre.plane.apply(&service.to_string());
    }
    theatre
        .plane
        .apply(&pod("dns-test", "dns-test-service", &json!({})).to_string());
    let (ip, pod) = (cluster_ip("test-service-2"), address_of_pod("dns-test"));
    let host = format!("{}.dns-test-service.shop.svc.Z.", pod.replace('.', "-"));

    let service = "test-service-2.shop.svc.Z.";
    wait_for(
        &ours,
        "test-service-2.shop.svc.Z A",
        &format!("NOERROR aa\n{service} 30 A {ip}"),
    );
    wait_for(
        &ours,
        "_http._tcp.test-service-2.shop.svc.Z SRV",
        &format!(
            "NOERROR aa\n_http._tcp.{service} 30 SRV 0 256 80 {service}\nadd {service} 30 A {ip}"
        ),
    );
    wait_for(
        &ours,
        "_dns._udp.test-service-2.shop.svc.Z SRV",
        &format!(
            "NOERROR aa\n_dns._udp.{service} 30 SRV 0 256 53 {service}\nadd {service} 30 A {ip}"
        ),
    );
    wait_for(
        &ours,
        &format!("{} PTR", reverse(&ip)),
        &format!("NOERROR aa\n{}. 30 PTR {service}", reverse(&ip)),
    );

    let service = "dns-test-service.shop.svc.Z.";
    wait_for(
        &ours,
        "dns-test-service.shop.svc.Z A",
        &format!("NOERROR aa\n{service} 5 A {pod}"),
    );
    // The port of the endpoint, which is not the service's.
    wait_for(
        &ours,
        "_http._tcp.dns-test-service.shop.svc.Z SRV",
        &format!("NOERROR aa\n_http._tcp.{service} 5 SRV 0 256 8080 {host}\nadd {host} 5 A {pod}"),
    );
    wait_for(
        &ours,
        &format!("{} PTR", reverse(&pod)),
        &format!("NOERROR aa\n{}. 30 PTR {host}", reverse(&pod)),
    );
    wait_for(
        &ours,
        "_none._tcp.dns-test-service.shop.svc.Z SRV",
        "NXDOMAIN aa\nauth Z. 5 SOA",
    );
    theatre.plane.kubectl(&[
        "-n",
        SHOP,
        "delete",
        "pod/dns-test",
        "service/dns-test-service",
        "service/test-service-2",
    ]);
    wait_for(
        &ours,
        "test-service-2.shop.svc.Z A",
        "NXDOMAIN aa\nauth Z. 5 SOA",
    );
}

/// "should provide DNS for pods for Hostname" and "Subdomain".
#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn pods_with_hostname_and_subdomain_have_names() {
    let theatre = theatre();
    let ours = theatre.another("existence-pods", REVERSE);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": SHOP, "name": "dns-test-service-2"},
        "spec": {"clusterIP": "None", "selector": {"app": "querier"}, "ports": [{"name": "http", "port": 80}]}});
    theatre.plane.apply(&service.to_string());
    let spec = json!({"hostname": "dns-querier-2", "subdomain": "dns-test-service-2"});
    theatre
        .plane
        .apply(&pod("dns-test-2", "querier", &spec).to_string());
    let ip = address_of_pod("dns-test-2");
    let name = "dns-querier-2.dns-test-service-2.shop.svc.Z.";
    wait_for(
        &ours,
        "dns-querier-2.dns-test-service-2.shop.svc.Z A",
        &format!("NOERROR aa\n{name} 5 A {ip}"),
    );
    wait_for(
        &ours,
        "dns-test-service-2.shop.svc.Z A",
        &format!("NOERROR aa\ndns-test-service-2.shop.svc.Z. 5 A {ip}"),
    );
    wait_for(
        &ours,
        &format!("{} PTR", reverse(&ip)),
        &format!("NOERROR aa\n{}. 30 PTR {name}", reverse(&ip)),
    );
    // Its address is no second name of it.
    let by_address = format!("{}.dns-test-service-2.shop.svc.Z A", ip.replace('.', "-"));
    wait_for(&ours, &by_address, "NXDOMAIN aa\nauth Z. 5 SOA");
    theatre.plane.kubectl(&[
        "-n",
        SHOP,
        "delete",
        "pod/dns-test-2",
        "service/dns-test-service-2",
    ]);
    wait_for(
        &ours,
        "dns-querier-2.dns-test-service-2.shop.svc.Z A",
        "NXDOMAIN aa\nauth Z. 5 SOA",
    );
}

/// "should provide DNS for ExternalName services": made, changed, made a service with a cluster IP.
#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn an_external_name_changes_and_becomes_a_cluster_ip() {
    let theatre = theatre();
    let ours = theatre.another("existence-external", REVERSE);
    let name = "dns-test-service-3";
    let external = |target: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": SHOP, "name": name},
            "spec": {"type": "ExternalName", "externalName": target}})
    };
    let (question, owner) = (
        format!("{name}.shop.svc.Z A"),
        format!("{name}.shop.svc.Z."),
    );
    for target in ["foo.example.com", "bar.example.com"] {
        theatre.plane.apply(&external(target).to_string());
        wait_for(
            &ours,
            &question,
            &format!("NOERROR aa\n{owner} 30 CNAME {target}."),
        );
        wait_for(
            &ours,
            &question.replace(" A", " CNAME"),
            &format!("NOERROR aa\n{owner} 30 CNAME {target}."),
        );
    }
    let patch = r#"{"spec": {"type": "ClusterIP", "externalName": null, "ports": [{"name": "http", "port": 80, "targetPort": 80}]}}"#;
    theatre
        .plane
        .kubectl(&["-n", SHOP, "patch", "service", name, "-p", patch]);
    let ip = cluster_ip(name);
    wait_for(&ours, &question, &format!("NOERROR aa\n{owner} 30 A {ip}"));
    wait_for(
        &ours,
        &question.replace(" A", " CNAME"),
        "NOERROR aa\nauth Z. 5 SOA",
    );
    theatre
        .plane
        .kubectl(&["-n", SHOP, "delete", "service", name]);
    wait_for(&ours, &question, "NXDOMAIN aa\nauth Z. 5 SOA");
}

/// "should work with a service name that starts with a digit", where the API server has them (KEP-5311).
#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn a_service_name_may_start_with_a_digit_where_kubernetes_allows_it() {
    let theatre = theatre();
    let service = [
        "-n",
        SHOP,
        "create",
        "service",
        "clusterip",
        "1kubernetes",
        "--tcp=80",
    ];
    match theatre.plane.try_kubectl(&service) {
        Ok(_) => {
            let ip = cluster_ip("1kubernetes");
            let expected = format!("NOERROR aa\n1kubernetes.shop.svc.Z. 30 A {ip}");
            wait_for(&theatre.ours, "1kubernetes.shop.svc.Z A", &expected);
            theatre
                .plane
                .kubectl(&["-n", SHOP, "delete", "service", "1kubernetes"]);
            println!("1kubernetes: accepted by the API server, and answered");
        }
        Err(error) => {
            assert!(
                error.contains("must start with an alphabetic character"),
                "{error}"
            );
            println!(
                "1kubernetes: refused by the API server: {}",
                error.lines().next().unwrap_or_default()
            );
        }
    }
}
