//! What the screen shows, cell by cell, and what keys do.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use serde_json::{Value, json};

use super::super::tests::rolling;
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const NOW: &str = "2026-03-01T10:00:55Z";

fn seen(value: &Value) -> Seen {
    Seen::new(serde_json::from_value(value.clone()).unwrap(), at(NOW))
}

fn drawn(seen: &Seen, width: u16, height: u16, paint: Paint) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let draw = |frame: &mut ratatui::Frame<'_>| {
        let area = frame.area();
        screen::render(seen, area, at(NOW), paint, frame.buffer_mut());
    };
    terminal.draw(draw).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let rows = buffer.content.chunks(buffer.area.width.into());
    let text = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    text.map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn a_roll_out_is_one_screen() {
    let told = lines(&drawn(&seen(&rolling()), 100, 28, Paint(false)));
    let expected = "\
shop/web  ▶ Progressing for 55s
Headless  strategy steps  12 of 13 endpoints ready  TTL 5s
cut-over at 10:02:00Z (in 1m5s)
Deployment shop/web  ▶ Progressing  update to target 2-0-1 (7d9f4b) from stable 1-9-3 (55c8d7)
  step 2 of 4  wanted 25.00%  step 3 at 10:02:00Z (in 1m5s)
  stalled: ?[31mImagePullBackOff
problem: steps: ?

VERSION                          SHARE   POLICY  CAPACITY  ANSWERED
1-9-3    ███████████████░░░░░   75.00%   75.00%   100.00%    74.10%
2-0-1    █████░░░░░░░░░░░░░░░   25.00%   25.00%    25.00%         -

share of 2-0-1 in the last 5m0s

                                                                                                   ▄

Deployment shop/web
├─ 1-9-3 (55c8d7)  revision 11  stable  10/10 ready  10 soaked  policy
│  └─ web-55c8d7-a  10.1.2.3   ready      soaked  eu-1
└─ 2-0-1 (7d9f4b)  revision 12  canary  2/3 ready  1 soaked  policy
   ├─ web-7d9f4b-a  10.1.2.11  ready      soaked  eu-1
   └─ web-7d9f4b-b  10.1.2.12  not ready          eu-2  3 restarts





q leaves, arrows scroll  10:00:55Z";
    assert_eq!(told.join("\n"), expected, "\n{}", told.join("\n"));
}

#[test]
fn on_a_small_terminal_the_head_stays_and_nothing_panics() {
    let seen = seen(&rolling());
    for (width, height) in [(1, 1), (20, 5), (80, 10), (200, 60)] {
        let told = lines(&drawn(&seen, width, height, Paint(true)));
        let begin: String = "shop/web  ▶".chars().take(width.into()).collect();
        assert!(
            told[0].starts_with(begin.trim_end()) || height == 1,
            "{width}x{height}: {told:?}"
        );
    }
}

#[test]
fn the_tree_is_scrolled_and_the_head_stays() {
    let mut seen = seen(&rolling());
    seen.scroll = 4;
    let told = lines(&drawn(&seen, 100, 28, Paint(false)));
    assert!(told[0].starts_with("shop/web"), "{told:?}");
    assert!(told[16].contains("web-7d9f4b-a"), "{told:?}");
}

#[test]
fn colours_are_shown_where_they_are_wanted() {
    let seen = seen(&rolling());
    let colours = |paint| {
        let buffer = drawn(&seen, 100, 28, paint);
        let colours = buffer.content.iter().map(|cell| cell.fg);
        colours.filter(|colour| *colour != Color::Reset).count()
    };
    assert_eq!(colours(Paint(false)), 0);
    assert!(colours(Paint(true)) > 0);
    let buffer = drawn(&seen, 100, 28, Paint(true));
    assert_eq!(
        buffer[(10, 0)].fg,
        Color::Cyan,
        "of the icon of Progressing"
    );
}

#[test]
fn a_server_that_does_not_answer_is_told_and_what_was_known_stays() {
    let mut seen = seen(&rolling());
    seen.hear(Err("refused".to_owned()), at("2026-03-01T10:00:40Z"));
    seen.hear(Err("refused again".to_owned()), at("2026-03-01T10:00:41Z"));
    let told = lines(&drawn(&seen, 100, 28, Paint(false)));
    let foot = "q leaves, arrows scroll  no answer for 15s: refused again";
    assert_eq!(told.last().map(String::as_str), Some(foot));
    assert!(told[0].starts_with("shop/web  ▶ Progressing"), "{told:?}");
    let service = serde_json::from_value(rolling()).unwrap();
    seen.hear(Ok(service), at(NOW));
    let told = lines(&drawn(&seen, 100, 28, Paint(false)));
    assert_eq!(
        told.last().map(String::as_str),
        Some("q leaves, arrows scroll  10:00:55Z")
    );
}

#[test]
fn samples_go_back_five_minutes_and_no_further() {
    let mut samples = Samples::default();
    let start = at(NOW).as_second();
    let mut value = rolling();
    for second in 0..400_i64 {
        value["versions"][1]["share"]["basisPoints"] = json!(second * 10);
        let service: Service = serde_json::from_value(value.clone()).unwrap();
        samples.note(&service, Timestamp::from_second(start + second).unwrap());
    }
    let now = Timestamp::from_second(start + 399).unwrap();
    let told = samples.of("7d9f4b", now, 300);
    let expected: Vec<Option<u64>> = (100..400).map(|second| Some(second * 10)).collect();
    assert_eq!(told, expected);
    // Of each column the last; and a revision that is not there has nothing.
    let last: Vec<Option<u64>> = (1..=3).map(|part| Some(990 + part * 1000)).collect();
    assert_eq!(samples.of("7d9f4b", now, 3), last);
    assert_eq!(samples.of("other", now, 2), [Some(0), Some(0)]);
    // A minute later nobody had looked for a minute.
    let later = Timestamp::from_second(start + 459).unwrap();
    let told = samples.of("7d9f4b", later, 5);
    assert_eq!(told[3], Some(3990));
    assert_eq!(told[4], None);
    // A wide screen has no holes between two looks.
    assert!(
        samples.of("7d9f4b", now, 600)[2..]
            .iter()
            .all(Option::is_some)
    );
    assert!(samples.of("7d9f4b", now, 0).is_empty());
}

#[test]
fn keys_leave_and_scroll() {
    let press = |code, modifiers| wish(KeyEvent::new(code, modifiers));
    let none = KeyModifiers::NONE;
    for (code, modifiers, expected) in [
        (KeyCode::Char('q'), none, Some(Wish::Leave)),
        (KeyCode::Esc, none, Some(Wish::Leave)),
        (KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Wish::Leave)),
        (KeyCode::Char('c'), none, None),
        (KeyCode::Down, none, Some(Wish::Down(1))),
        (KeyCode::Up, none, Some(Wish::Up(1))),
        (KeyCode::Char('x'), none, None),
    ] {
        assert_eq!(press(code, modifiers), expected, "{code:?}");
    }
    let mut release = KeyEvent::new(KeyCode::Char('q'), none);
    release.kind = KeyEventKind::Release;
    assert_eq!(wish(release), None);
}
