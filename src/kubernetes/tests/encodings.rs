//! Both encodings tell the same.
//!
//! What stands in `encodings/` was written by a kube-apiserver 1.37.1: one list of each kind in JSON and in protobuf, and
//! the stream of a watch that begins with the same objects (`sendInitialEvents`) and a bookmark. The pods crash, wait,
//! were evicted or are being deleted; the endpoints leave out what may be left out.

use http::StatusCode;
use proptest::prelude::*;

use super::super::encoding::{Encoding, Page};
use super::super::known::{Mark, Marker};
use super::super::reading::{Line, List, Reading};
use crate::objects::{Kind, Object, Reader};

struct Recorded {
    kind: Kind,
    json: &'static [u8],
    protobuf: &'static [u8],
    watch: &'static [u8],
}

macro_rules! recorded {
    ($kind:ident, $name:literal) => {
        Recorded {
            kind: Kind::$kind,
            json: include_bytes!(concat!("encodings/", $name, ".json")),
            protobuf: include_bytes!(concat!("encodings/", $name, ".pb")),
            watch: include_bytes!(concat!("encodings/", $name, ".watch.pb")),
        }
    };
}

const RECORDED: [Recorded; 4] = [
    recorded!(Namespace, "namespaces"),
    recorded!(Service, "services"),
    recorded!(EndpointSlice, "endpointslices"),
    recorded!(Pod, "pods"),
];

const REFUSAL: &[u8] = include_bytes!("encodings/refusal.pb");

fn read(encoding: Encoding, kind: Kind, text: &[u8]) -> (Page, List) {
    let mut reading = Reading::new(kind, Reader::default(), Marker::fixed());
    let mut list = List::default();
    let page = encoding.page(kind, text, |item| reading.item(item, &mut list));
    (page.unwrap(), list)
}

/// The lines of a stream that comes in pieces of a size.
fn lines(kind: Kind, stream: &[u8], size: usize) -> Vec<(Line, String)> {
    let mut reading = Reading::new(kind, Reader::default(), Marker::fixed());
    let (mut text, mut told) = (Vec::new(), Vec::new());
    for piece in stream.chunks(size) {
        text.extend_from_slice(piece);
        while let Some((event, len)) = Encoding::Protobuf.first(&text, 0) {
            told.push(reading.line(Encoding::Protobuf.event(kind, event)));
            text.drain(..len);
        }
    }
    assert!(text.is_empty());
    told
}

fn sorted(mut objects: Vec<(Mark, Object)>) -> Vec<(Mark, Object)> {
    objects.sort_by_key(|(mark, _)| mark.id);
    objects
}

#[test]
fn a_list_is_the_same_in_both_encodings() {
    for recorded in RECORDED {
        let kind = recorded.kind;
        let (page, json) = read(Encoding::Json, kind, recorded.json);
        let (same, protobuf) = read(Encoding::Protobuf, kind, recorded.protobuf);
        assert_eq!((page.version.is_empty(), page), (false, same), "{kind}");
        assert!(json.objects.len() > 2, "{kind}");
        assert_eq!(json.objects, protobuf.objects, "{kind}");
        assert_eq!((json.strange, protobuf.strange), (0, 0), "{kind}");
    }
}

#[test]
fn a_watch_in_protobuf_tells_what_the_list_has() {
    for recorded in RECORDED {
        let kind = recorded.kind;
        let (_, list) = read(Encoding::Json, kind, recorded.json);
        for size in [1, 7, 4096] {
            let mut told = lines(kind, recorded.watch, size);
            let Some((Line::Bookmark(version), moved_to)) = told.pop() else {
                panic!("{kind}: no bookmark");
            };
            assert!(!version.is_empty() && version == moved_to, "{kind}");
            let applied = told.into_iter().map(|(line, version)| match line {
                Line::Applied(mark, object) => {
                    assert_eq!(mark.version.to_string(), version);
                    (mark, object)
                }
                other => panic!("{kind}: {other:?}"),
            });
            assert_eq!(
                sorted(applied.collect()),
                sorted(list.objects.clone()),
                "{kind}"
            );
        }
    }
}

/// A field of octets, as protobuf writes it.
fn field(number: u8, octets: &[u8]) -> Vec<u8> {
    let mut text = vec![number << 3 | 2];
    let mut len = octets.len();
    while len > 0x7f {
        text.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    text.push(len as u8);
    text.extend_from_slice(octets);
    text
}

fn event(kind: Kind, says: &str, object: &[u8]) -> (Line, String) {
    let text = [field(1, says.as_bytes()), field(2, &field(1, object))].concat();
    Reading::new(kind, Reader::default(), Marker::fixed())
        .line(Encoding::Protobuf.event(kind, &text))
}

#[test]
fn an_error_in_protobuf_says_its_code_and_why() {
    let (line, _) = event(Kind::Pod, "ERROR", REFUSAL);
    let says = "pods \"nosuch\" not found".to_owned();
    assert_eq!(line, Line::Error(StatusCode::NOT_FOUND, says.clone()));
    let told = Encoding::Protobuf.status(REFUSAL).unwrap();
    assert_eq!(told.at(&["message"]).text(), Some(&*says));
}

#[test]
fn an_object_of_another_kind_is_strange_in_protobuf_too() {
    let recorded = &RECORDED[1];
    let mut first = Encoding::Protobuf.first(recorded.watch, 0).unwrap().0;
    // Past `ADDED`, into the object and its raw octets.
    first = &first[7..];
    let at = first.windows(4).position(|four| four == b"k8s\0").unwrap();
    let (line, version) = event(Kind::Pod, "ADDED", &first[at..]);
    assert!(!version.is_empty());
    let Line::Strange(problem) = line else {
        panic!("{line:?}");
    };
    assert_eq!(
        problem.to_string(),
        "pod shop/elsewhere: the API server sent no Pod here, and it is left out"
    );
}

#[test]
fn a_broken_item_costs_itself_alone() {
    let good = field(2, &field(1, &field(1, b"web")));
    // Metadata whose name says that it is longer than it is.
    let bad = field(2, &field(1, &[0x0a, 9, b'x']));
    let meta = field(1, &field(2, b"7"));
    let raw = [meta, good.clone(), bad, good].concat();
    let text = [b"k8s\0".to_vec(), field(2, &raw)].concat();
    let (page, list) = read(Encoding::Protobuf, Kind::Namespace, &text);
    assert_eq!(page.version, "7");
    assert_eq!((list.known.len(), list.strange), (1, 1));
    for (line, expected) in [
        (&b""[..], "no event"),
        (b"\x0a\x05ADD", "a message that is cut off"),
        (b"\x0b", "a field of the unknown wire type 3"),
        (b"\x00\x00", "a field number that is none"),
        (b"\x88", "a message that is cut off"),
        (
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            "a number of more than 64 bits",
        ),
        (b"\x12\x03\x0a\x01x", "an object without an envelope"),
    ] {
        let mut reading = Reading::new(Kind::Pod, Reader::default(), Marker::fixed());
        let (told, _) = reading.line(Encoding::Protobuf.event(Kind::Pod, line));
        let line = line.escape_ascii();
        assert_eq!(told, Line::Garbled(expected.to_owned()), "{line}");
    }
}

#[test]
fn a_broken_object_does_not_end_the_watch() {
    let says = [field(1, b"v1"), field(2, b"Namespace")].concat();
    // Metadata whose name says that it is longer than it is.
    let raw = field(1, &[0x0a, 9, b'x']);
    let object = [b"k8s\0".to_vec(), field(1, &says), field(2, &raw)].concat();
    let (line, version) = event(Kind::Namespace, "MODIFIED", &object);
    assert!(matches!(line, Line::Strange(_)), "{line:?}");
    assert_eq!(version, "");
}

proptest! {
    /// Whatever a network makes of a list or an event: it is read, or it is refused.
    #[test]
    fn damage_is_read_or_refused(which in 0usize..4, at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let recorded = &RECORDED[which];
        for text in [recorded.protobuf, recorded.watch] {
            let mut text = text.to_vec();
            let place = at.index(text.len());
            text[place] = with;
            text.truncate(cut.index(text.len()) + 1);
            let _read = Encoding::Protobuf.page(recorded.kind, &text, |_| {});
            let mut rest = &text[..];
            while let Some((event, len)) = Encoding::Protobuf.first(rest, 0) {
                let _read = Encoding::Protobuf.event(recorded.kind, event);
                rest = &rest[len..];
            }
        }
    }
}
