//! What the API server says, read: pages, items, lines.

use serde_json::{Value, json};

use super::super::encoding::{Encoding, Page};
use super::super::known::Marker;
use super::super::reading::{Line, List, Reading};
use crate::objects::{Kind, Object, Reader};

fn read(kind: Kind, page: &Value) -> Result<(Page, List), String> {
    let mut reading = Reading::new(kind, Reader::default(), Marker::fixed());
    let mut list = List::default();
    let page = Encoding::Json.page(kind, page.to_string().as_bytes(), |item| {
        reading.item(item, &mut list);
    });
    page.map(|page| (page, list))
}

fn page(version: &str, next: &str) -> Page {
    Page {
        version: version.to_owned(),
        next: next.to_owned(),
    }
}

#[test]
fn items_of_a_list_need_not_say_what_they_are() {
    let text = json!({"kind": "PodList", "apiVersion": "v1",
        "metadata": {"resourceVersion": "7", "continue": "more", "remainingItemCount": 1},
        "items": [{"metadata": {"name": "a", "namespace": "shop", "resourceVersion": "5", "uid": "u"}}]});
    let (got, list) = read(Kind::Pod, &text).unwrap();
    assert_eq!(got, page("7", "more"));
    assert_eq!(list.known.len(), 1);
    assert_eq!(&**list.objects[0].1.name(), "a");
    // Whatever kind it is that is listed.
    for kind in Kind::ALL {
        let text =
            json!({"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}]});
        let (_, list) = read(kind, &text).unwrap();
        assert_eq!(list.objects[0].1.kind(), kind);
    }
}

#[test]
fn an_empty_list_may_be_null_but_not_missing() {
    let empty = json!({"metadata": {"resourceVersion": "7"}, "items": null});
    assert_eq!(read(Kind::Pod, &empty).unwrap().0, page("7", ""));
    for (text, expected) in [
        (
            json!({"metadata": {"resourceVersion": "7"}}),
            "missing field `items`",
        ),
        (
            json!({"items": []}),
            "a list without `metadata.resourceVersion`",
        ),
        (
            json!({"kind": "Status", "code": 200}),
            "missing field `items`",
        ),
        (json!("sorry"), "expected a list"),
    ] {
        let error = read(Kind::Pod, &text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_list_that_is_cut_off_is_none() {
    let text =
        json!({"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}]});
    let text = text.to_string();
    for end in 0..text.len() {
        let cut = &text.as_bytes()[..end];
        assert!(
            Encoding::Json.page(Kind::Pod, cut, |_| {}).is_err(),
            "{end}"
        );
    }
    assert!(
        Encoding::Json
            .page(Kind::Pod, text.as_bytes(), |_| {})
            .is_ok()
    );
}

#[test]
fn a_strange_item_costs_itself_alone() {
    let items: Vec<Value> = (0..10_000)
        .map(|number| match number {
            5_000 => json!({"metadata": {"labels": 7}, "endpoints": "none"}),
            _ => json!({"metadata": {"name": format!("s-{number}"), "namespace": "shop"}, "endpoints": null}),
        })
        .collect();
    let text = json!({"metadata": {"resourceVersion": "7"}, "items": items});
    let (_, list) = read(Kind::EndpointSlice, &text).unwrap();
    assert_eq!(list.objects.len(), 9_999);
    assert_eq!((list.strange, list.problems.len()), (1, 1));
    assert_eq!(
        list.problems[0].to_string(),
        "endpointslice: it has no name and is left out"
    );
    for strange in [
        json!(null),
        json!(7),
        json!([]),
        json!({"kind": "Secret", "apiVersion": "v1"}),
    ] {
        let text = json!({"metadata": {"resourceVersion": "7"}, "items": [strange]});
        let (_, list) = read(Kind::Pod, &text).unwrap();
        assert_eq!((list.objects.len(), list.strange), (0, 1), "{strange}");
    }
}

#[test]
fn a_line_of_a_watch_is_an_event_of_its_kind() {
    let mut reading = Reading::new(Kind::Service, Reader::default(), Marker::fixed());
    let mut told = |line: &str| match reading
        .line(Encoding::Json.event(Kind::Service, line.as_bytes()))
    {
        (Line::Applied(mark, object), version) => {
            assert!(matches!(object, Object::Service(_)));
            format!("applied {} {} {version}", object.name(), mark.version)
        }
        (Line::Deleted(mark, object), version) => {
            format!("deleted {} {} {version}", object.name(), mark.version)
        }
        (Line::Bookmark(to), version) => format!("bookmark {to} {version}"),
        (Line::Error(code, says), version) => format!("error {} {says}{version}", code.as_u16()),
        (Line::Strange(problem), version) => format!("{problem} {version}"),
        (Line::Garbled(says), version) => format!("garbled: {says}{version}"),
    };
    for (line, expected) in [
        (
            r#"{"type":"ADDED","object":{"kind":"Service","apiVersion":"v1","metadata":{"name":"web","namespace":"shop","resourceVersion":"12"}}}"#,
            "applied web 12 12",
        ),
        (
            r#"{"type":"MODIFIED","object":{"metadata":{"name":"web","namespace":"shop","resourceVersion":"13"},"spec":7}}"#,
            "applied web 13 13",
        ),
        (
            r#"{"type":"DELETED","object":{"metadata":{"name":"web","namespace":"shop","resourceVersion":"14"}}}"#,
            "deleted web 14 14",
        ),
        (
            r#"{"type":"BOOKMARK","object":{"kind":"Service","apiVersion":"v1","metadata":{"resourceVersion":"15"}}}"#,
            "bookmark 15 15",
        ),
        (
            r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version"}}"#,
            "error 410 too old resource version",
        ),
        (r#"{"type":"ERROR","object":null}"#, "error 500 "),
        (
            r#"{"type":"ADDED","object":{"metadata":{"resourceVersion":"16"}}}"#,
            "service: it has no name and is left out 16",
        ),
        (
            r#"{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"b","resourceVersion":"17"}}}"#,
            "service b/a: the API server sent no Service here, and it is left out 17",
        ),
        (
            r#"{"type":"ADDED","obj"#,
            "garbled: EOF while parsing a string at line 1 column 20",
        ),
        (r#"{"type":"SYNC"}"#, "garbled: an event of type `SYNC`"),
        ("7", "garbled: no event"),
    ] {
        assert_eq!(told(line), expected, "{line}");
    }
}
